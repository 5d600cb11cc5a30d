"""Train on one corpus, test on the others: which models answer, what is scored, what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError
from components.config import Profile, Settings
from components.conversation import Recording
from components.scoring import utterance_predictions
from pipelines.experiments.transfer import Corpus, Transfer, run_transfer
from pipelines.experiments.transfer_page import transfer_page, transfer_tables
from tests.pipelines.experiments.conftest import ProgressLog


@pytest.fixture(scope="module")
def transfer(
    recordings: list[Recording],
    heard: Path,
    profile: Profile,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., tuple[Transfer, ProgressLog]]:
    """Run it over corpora cut from the recordings, all of which were heard before."""

    def run(*corpora: Corpus, **changes: Any) -> tuple[Transfer, ProgressLog]:
        work = tmp_path_factory.mktemp("transfer")
        for number in range(len(corpora)):
            (work / str(number)).mkdir()
            for segmentation in ("vad", "reference"):
                (work / str(number) / segmentation).symlink_to(heard / segmentation)
        progress = ProgressLog()
        use = {"profile": profile, "settings": settings, **changes}
        return run_transfer(corpora, work=work, progress=progress, **use), progress

    return run


def without(recordings: list[Recording], *emotions: str) -> list[Recording]:
    return [
        replace(r, utterances=tuple(u for u in r.utterances if u.emotion not in emotions))
        for r in recordings
    ]


def corpora(recordings: list[Recording]) -> tuple[Corpus, ...]:
    glad = Corpus("glad", without(recordings[:4], "sad"))
    return Corpus("tones", recordings), glad, Corpus("last", recordings[4:])


@pytest.fixture(scope="module")
def matrix(transfer, recordings: list[Recording]) -> Transfer:
    """The whole corpus, a part of it that lacks sad people and has two folds, its last fold."""
    return transfer(*corpora(recordings))[0]


def test_a_corpus_of_two_folds_or_without_a_label_is_only_tested_on(matrix: Transfer) -> None:
    assert matrix.trained == ["tones"]
    assert set(matrix.cells) == {("tones", "tones"), ("tones", "glad"), ("tones", "last")}
    assert matrix.about["corpora"]["glad"]["trained_on"] is False


def test_only_shared_labels_are_scored(matrix: Transfer, recordings: list[Recording]) -> None:
    own, other = matrix.cells["tones", "tones"], matrix.cells["tones", "glad"]
    assert own.own and not other.own
    assert own.numbers["utterances"] == 48
    assert other.labels == ("angry", "happy", "neutral")
    assert other.numbers["utterances"] == 4 * 6
    assert other.chance == pytest.approx(1 / 3)


def test_the_own_cell_is_that_of_the_experiment(matrix: Transfer, everything) -> None:
    """Each fold by a model that has not seen it, as `boundaries` counts it."""
    from pipelines.experiments.systems import ALIGNED_FROZEN

    numbers = everything[0].systems[ALIGNED_FROZEN].numbers
    own = matrix.cells["tones", "tones"].numbers
    assert own["correct"] == numbers["correct"]
    assert own["accuracy"]["interval"] == numbers["accuracy"]["interval"]


def test_the_others_are_answered_by_the_model_that_left_out_the_last_fold(
    matrix: Transfer, everything, recordings: list[Recording]
) -> None:
    """On that fold's own recordings it answers as it did in the experiment."""
    from pipelines.experiments.systems import ALIGNED_FROZEN

    outcomes = everything[0].systems[ALIGNED_FROZEN].outcomes
    last = next(o for o in outcomes if o.unit.test_fold == "fold2")
    utterances = [u for r in recordings[4:] for u in r.utterances]
    answers = utterance_predictions(utterances, last.turns)
    right = sum(a.emotion == u.emotion for u, a in zip(utterances, answers, strict=True))
    assert matrix.cells["tones", "last"].numbers["correct"] == [right]


def test_a_second_run_does_nothing_again(transfer, matrix: Transfer, recordings) -> None:
    again, progress = transfer(*corpora(recordings))
    assert progress.trained == set()
    assert again.to_json() == matrix.to_json()


def test_tables_page_and_json(matrix: Transfer) -> None:
    accuracy, *_, facts = transfer_tables(matrix)
    assert accuracy.columns == ("trained on", "tones", "glad", "last")
    assert [row[0] for row in accuracy.rows] == ["tones"]
    assert all(" to " in cell for cell in accuracy.rows[0][1:])
    assert facts.rows[1][-1] == "only tested on"
    page = transfer_page(matrix)
    assert "<svg" in page and "<script" not in page
    assert "tones on its own folds" in page and "tones on glad" in page
    cells = json.loads(json.dumps(matrix.to_json(), allow_nan=False))["cells"]
    assert [(c["trained_on"], c["tested_on"]) for c in cells] == list(matrix.cells)


def test_what_cannot_be_compared_is_refused(transfer, recordings: list[Recording]) -> None:
    whole = Corpus("tones", recordings)
    with pytest.raises(InputError, match=r"tones and lone share only angry .*label_map"):
        transfer(whole, Corpus("lone", without(recordings, "happy", "neutral", "sad")))
    renamed = [
        replace(r, utterances=tuple(replace(u, emotion="Wut") for u in r.utterances))
        for r in recordings
    ]
    with pytest.raises(InputError, match="tones and wut share no label"):
        transfer(whole, Corpus("wut", renamed))
    with pytest.raises(InputError, match="two corpora or more"):
        transfer(whole)
    with pytest.raises(InputError, match="each once"):
        transfer(whole, whole)
    with pytest.raises(InputError, match="can be trained on: that takes 3 folds"):
        transfer(Corpus("a", recordings[:4]), Corpus("b", recordings[2:]))
