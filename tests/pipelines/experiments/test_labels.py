"""An experiment on a corpus of two labels: everything is counted over those of the profile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.base import InputError
from components.config import Profile
from components.conversation import Recording
from pipelines.cli.experiment import to_json
from pipelines.experiments import Results, tables
from pipelines.experiments.protocol import check_folds
from pipelines.experiments.report import experiment_page

TWO = ("tense", "sad")
NAMES = {"angry": "tense", "happy": "tense", "neutral": "sad", "sad": "sad"}


@pytest.fixture(scope="module")
def results(
    run: Callable[..., tuple[Results, Any]], recordings: list[Recording], profile: Profile
) -> Results:
    named = [
        replace(r, utterances=tuple(replace(u, emotion=NAMES[u.emotion]) for u in r.utterances))
        for r in recordings
    ]
    done, _ = run("table2", recordings=named, profile=profile.model_copy(update={"labels": TWO}))
    return done


def test_it_is_counted_over_the_profiles_labels(results: Results) -> None:
    assert results.about["utterances"] == 48
    for system in results.systems.values():
        confusion = system.numbers["confusion"]
        assert [len(row) for row in confusion] == [3, 3]
        assert sum(map(sum, confusion)) == 48
        assert {name for name in system.numbers if name.startswith("f1_")} == {
            "f1_tense", "f1_sad"
        }  # fmt: skip
    (table,) = tables(results).values()
    printed = {row[0]: row[2::2] for row in table.rows}
    for label in TWO:  # the paper's numbers are of its own four
        assert printed[f"{label}, fine-tuned"][:2] == ("–", "–")
    page = experiment_page(results)
    assert "tense" in page and "angry" not in page
    assert "f1_tense" in to_json(results)["comparisons"][0]


def test_a_fold_without_one_of_the_labels_is_one_line(
    recordings: list[Recording],
) -> None:
    with pytest.raises(InputError, match="fold fold0 has no utterance that is bored or calm"):
        check_folds(recordings, ("angry", "bored", "calm"))
