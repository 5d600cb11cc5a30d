"""The six categories of Wu et al.: the profile `wu2023` on IEMOCAP's own labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import load_profile
from components.corpus import read_corpus

Edit = Callable[[str, str, str], Path]


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("hap", "happy"),
        ("exc", "happy"),
        ("sad", "sad"),
        ("ang", "angry"),
        ("neu", "neutral"),
        ("fru", "other"),
        ("sur", "other"),
        ("fea", "other"),
        ("dis", "other"),
        ("oth", "other"),
        ("xxx", "no agreement"),
    ],
)
def test_every_code_of_iemocap_is_one_of_the_six(
    iemocap: Path, edit: Edit, code: str, label: str
) -> None:
    edit("EmoEvaluation", "\tneu\t", f"\t{code}\t")
    profile = load_profile("wu2023")
    recordings = read_corpus(iemocap, labels=profile)
    assert recordings[0].utterances[0].emotion == label
    assert all(u.emotion in profile.labels for r in recordings for u in r.utterances)


def test_the_profile_is_the_paper_s_but_for_its_labels() -> None:
    six, paper = load_profile("wu2023"), load_profile("paper")
    assert len(six.labels) == 6
    assert six.models == paper.models
    assert (six.train, six.fusion, six.protocol) == (paper.train, paper.fusion, paper.protocol)
    assert six.experiment.model_copy(update={"published": None}) == paper.experiment
