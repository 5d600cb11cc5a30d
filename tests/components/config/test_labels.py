"""A profile's labels and what it makes of other names."""

import json
import unicodedata
from pathlib import Path

import pytest

from components.base import InputError
from components.config import DiarizeStep, TrainStep, TranscribeStep, load_profile
from components.conversation import DEFAULT_LABELS

SIX = "[happy, sad, angry, neutral, other, no agreement]"


def written(folder: Path, lines: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"extends: demo\n{lines}\n", encoding="utf-8")
    return path


def test_any_number_in_their_order(tmp_path: Path) -> None:
    profile = load_profile(
        written(tmp_path, f"labels: {SIX}\nlabel_map: {{exc: happy, xxx: ignore}}")
    )
    assert profile.labels == ("happy", "sad", "angry", "neutral", "other", "no agreement")
    assert [profile.meaning(name) for name in ("exc", "sad", "xxx", "odd")] == [
        "happy", "sad", "xxx", "odd",
    ]  # fmt: skip
    assert [profile.knows(name) for name in ("exc", "sad", "xxx", "odd")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_a_label_in_any_script() -> None:
    letters = unicodedata.normalize("NFD", "[가쁨, गुस्सा, tristeză]")
    labels = load_profile("demo", [f"labels={letters}"]).labels
    assert labels == ("가쁨", "गुस्सा", "tristeză")


def test_digests_change_where_labels_matter() -> None:
    demo, two = load_profile("demo"), load_profile("demo", ["labels=[calm, tense]"])
    mapped = load_profile("demo", ["label_map.bored=sad"])
    assert len({TrainStep.of(profile).digest() for profile in (demo, two, mapped)}) == 3
    for step in (TranscribeStep, DiarizeStep):
        assert len({step.of(profile).digest() for profile in (demo, two, mapped)}) == 1


def test_the_default_ones_are_not_written_so_that_digests_of_before_stay() -> None:
    demo = load_profile("demo")
    assert demo.labels == DEFAULT_LABELS
    assert not {"labels", "label_map"} & json.loads(demo.model_dump_json()).keys()
    listed = load_profile("demo", ["labels=[angry, happy, neutral, sad]"])
    assert listed.digest() == demo.digest()
    assert load_profile("demo", ["labels=[sad, neutral, happy, angry]"]).digest() != demo.digest()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("labels: [calm]", "labels: names only 'calm'; a model tells two labels or more apart"),
        ("labels: []", "labels: names nothing"),
        ("labels: [calm, tense, calm]", "names 'calm' beside 'calm'; name each label once"),
        ("labels: [calm, Calm]", "names 'Calm' beside 'calm'"),
        ("labels: [calm, 'a,b']", "the label 'a,b' must begin with a letter or digit, and may"),
        ("labels: [calm, '<b>']", "the label '<b>' must begin"),
        ("labels: [calm, ' tense']", "the label ' tense' must begin"),
        ("labels: [calm, '']", "the label '' must begin"),
        (f"labels: [calm, {'x' * 41}]", "has more than 40 characters"),
        ("labels: [calm, ignore]", "the label 'ignore' has a meaning of its own"),
        ("labels: [calm, none]", "the label 'none' has a meaning of its own"),
        ("label_map: {exc: joy}", "'exc' is mapped to 'joy'; known: angry, happy"),
        ("label_map: {sad: angry}", "'sad' is a label itself"),
        ("gate: {min_f1: {furious: 0.5}}", "min_f1.furious: is none of the labels angry, happy"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_one_line(tmp_path: Path, lines: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        load_profile(written(tmp_path, lines))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
