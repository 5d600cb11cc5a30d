"""What a profile makes of a corpus' labels; names that may be a mistake are refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from components.base import InputError
from components.config import LabelStep
from components.conversation import FEEDBACK, Recording, read_manifest, write_manifest
from components.corpus import check_corpus, read_corpus

SIX = ("happy", "sad", "angry", "neutral", "other", "undecided")


def counted(recordings: list[Recording]) -> Counter[str]:
    return Counter(u.emotion for r in recordings for u in r.utterances)


def with_first(recordings: list[Recording], emotion: str, **changes: object) -> list[Recording]:
    """The recordings, the first utterance of the first with another label."""
    first, *others = recordings
    utterance, *rest = first.utterances
    utterances = (replace(utterance, emotion=emotion), *rest)
    return [replace(first, utterances=utterances, **changes), *others]  # type: ignore[arg-type]


def test_iemocap_is_read_by_the_papers_rule_if_the_profile_says_nothing(iemocap: Path) -> None:
    assert counted(read_corpus(iemocap, labels=LabelStep())) == counted(read_corpus(iemocap))
    assert counted(read_corpus(iemocap))["happy"] == 2


@pytest.mark.parametrize(
    ("step", "counts"),
    [
        (LabelStep(labels=SIX, label_map={"fru": "other"}),
         {"angry": 1, "happy": 2, "neutral": 1, "other": 1, "sad": 1, "undecided": 1}),
        (LabelStep(labels=SIX, label_map={"frustrated": "other", "exc": "other"}),
         {"angry": 1, "happy": 1, "neutral": 1, "other": 2, "sad": 1, "undecided": 1}),
        (LabelStep(labels=("happy", "excited")), {"happy": 1, "excited": 1}),
        (LabelStep(labels=("calm", "joy"), label_map={"happy": "joy", "neu": "calm"}),
         {"calm": 1, "joy": 2}),
        (LabelStep(label_map={"exc": "ignore"}), {"angry": 1, "happy": 1, "neutral": 1, "sad": 1}),
    ],
)  # fmt: skip
def test_iemocaps_codes_and_names_may_be_mapped(
    iemocap: Path, step: LabelStep, counts: dict[str, int]
) -> None:
    scored = counted(read_corpus(iemocap, labels=step))
    assert {name: count for name, count in scored.items() if name in step.labels} == counts


def test_a_label_that_nobody_knows_is_refused(iemocap: Path, tmp_path: Path) -> None:
    own = [
        replace(r, utterances=tuple(u for u in r.utterances if u.emotion != "frustrated"))
        for r in read_corpus(iemocap)
    ]
    write_manifest(tmp_path / "whole", own)
    assert check_corpus(tmp_path / "whole", labels=LabelStep()).recordings == 2
    write_manifest(tmp_path / "typo", with_first(own, "hapy"))
    with pytest.raises(InputError) as refused:
        read_corpus(tmp_path / "typo", labels=LabelStep())
    says = str(refused.value)
    assert "the label 'hapy', of 1 utterances, is neither listed nor mapped" in says
    assert "(is happy meant?)" in says and "label_map: {hapy: happy}, or to ignore" in says
    assert "\n" not in says
    # Without a profile it is told, not refused.
    (line,) = [line for line in check_corpus(tmp_path / "typo").findings if "'hapy'" in line]
    assert "list it in labels" in line
    for label_map in ({"hapy": "happy"}, {"hapy": "ignore"}):
        read = read_corpus(tmp_path / "typo", labels=LabelStep(label_map=label_map))
        assert counted(read)["happy"] == counted(own)["happy"] + (label_map["hapy"] == "happy") - (
            own[0].utterances[0].emotion == "happy"
        )


def test_a_published_set_and_traffic_have_the_labels_they_have(
    iemocap: Path, tmp_path: Path
) -> None:
    own = read_corpus(iemocap)
    for name, changes in (
        ("set", {"columns": (("set", "RAVDESS"),)}),
        ("fold", {"fold": FEEDBACK}),
    ):
        changed = [replace(r, **changes) for r in own]  # type: ignore[arg-type]
        write_manifest(tmp_path / name, with_first(changed, "calm"))
        read = read_corpus(tmp_path / name, labels=LabelStep())
        assert counted(read)["calm"] == 1


def test_the_digest_is_of_the_data_whatever_a_profile_makes_of_it(iemocap: Path) -> None:
    step = LabelStep(labels=("calm", "joy"), label_map={"happy": "joy", "neu": "calm"})
    report = check_corpus(iemocap, labels=step)
    assert report.digest == check_corpus(iemocap).digest
    assert report.emotions["joy"] == 2


def test_what_joins_feedback_is_read_again_by_the_same_labels(
    iemocap: Path, tmp_path: Path
) -> None:
    from components.base import Cache
    from components.corpus import join_feedback

    step = LabelStep(
        labels=("glum", "joy", "calm"), label_map={"exc": "joy", "sad": "glum", "neu": "calm"}
    )
    own = read_corpus(iemocap)
    back = with_first([replace(own[0], name="back", fold=FEEDBACK)], "angry")
    back = [
        replace(
            r, utterances=tuple(replace(u, id=f"b-{u.id}", recording="back") for u in r.utterances)
        )
        for r in back
    ]
    write_manifest(tmp_path / "feedback", back)
    joined = join_feedback(
        iemocap, tmp_path / "feedback", Cache(tmp_path / "cache"), max_share=1.0, labels=step
    )
    read = read_corpus(joined, labels=step)
    assert {r.name for r in read_manifest(joined)} == {*(r.name for r in own), "back"}
    assert counted([r for r in read if r.fold != FEEDBACK]) == {
        "calm": 1, "glum": 1, "joy": 1, "unlabelled": 4,
    }  # fmt: skip
