"""A version is served with the speech models that it was made with, or not at all."""

import json
from pathlib import Path

import pytest

from components.base import InputError
from components.config import (
    SPEECH_MODELS,
    Settings,
    TrainStep,
    load_profile,
    speech_digests,
    version_speech,
)

DEMO = load_profile("demo")
PAPER = load_profile("paper")


def write_version(folder: Path, profile: TrainStep = DEMO, **digests: str) -> Path:
    folder.mkdir()
    step = TrainStep.of(profile).model_dump(mode="json")
    (folder / "profile.json").write_text(json.dumps(step))
    if digests:
        (folder / SPEECH_MODELS).write_text(json.dumps(digests))
    return folder


def test_the_version_decides_unless_a_profile_agrees(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "model", PAPER)
    large = PAPER.transcribe.model
    assert version_speech(folder).step.transcribe.model == large
    slower = PAPER.transcribe.model_copy(update={"compute_type": "int8", "device": "cpu"})
    given = PAPER.model_copy(update={"transcribe": slower})
    used = version_speech(folder, given.model_dump_json()).step
    assert (used.transcribe.model, used.transcribe.compute_type) == (large, "int8")


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        (
            "transcribe",
            {"model": "small"},
            r'transcribe\.model "Systran/.*", and --profile.*"small"',
        ),
        ("transcribe", {"language": "de"}, r'transcribe\.language "en"'),
        ("diarize", {"pipeline": "other"}, r'diarize\.pipeline "'),
        ("align", {"max_pause": 2.0}, r"align\.max_pause 1\.5"),
    ],
)
def test_a_profile_that_differs_is_refused(
    part: str, change: dict[str, object], says: str, tmp_path: Path
) -> None:
    folder = write_version(tmp_path / "model", PAPER)
    other = PAPER.model_copy(update={part: getattr(PAPER, part).model_copy(update=change)})
    with pytest.raises(InputError, match=says) as caught:
        version_speech(folder, other.model_dump_json())
    assert "\n" not in str(caught.value)


def test_a_version_says_which_languages_its_text_encoder_knows(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "model", PAPER)
    assert version_speech(folder).text_languages == ("en",)
    assert version_speech(folder, PAPER).text_languages == ("en",)
    older = json.loads((folder / "profile.json").read_text())
    del older["fusion"]["text_languages"]
    (folder / "profile.json").write_text(json.dumps(older))
    assert version_speech(folder).text_languages == ()


def test_how_many_speak_is_known_of_a_recording_not_of_a_version(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "model", PAPER)
    other = PAPER.diarize.model_copy(update={"num_speakers": 5})
    given = PAPER.model_copy(update={"diarize": other})
    assert version_speech(folder, given.model_dump_json()).step.diarize.num_speakers == 5


def test_channels_are_a_matter_of_the_recording(tmp_path: Path) -> None:
    """They take no voices' model, so neither its name nor its digest matters."""
    settings = Settings(home=tmp_path / "home")
    whisper = DEMO.transcribe.model
    (settings.models / whisper).mkdir(parents=True)
    digests = {whisper: speech_digests(DEMO, settings)[whisper], DEMO.diarize.pipeline: "0" * 64}
    folder = write_version(tmp_path / "model", **digests)
    by_channel = load_profile("demo", ["diarize.pipeline=channels"])
    assert by_channel.by_channel and "channels" not in by_channel.models
    speech = version_speech(folder, by_channel)
    assert speech.step.by_channel
    assert speech.check_here(settings)[whisper] == digests[whisper]
    assert not speech.on_the_hub(settings)
    with pytest.raises(InputError, match="diarization-campplus"):
        version_speech(folder).check_here(settings)


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({"num_speakers": 2, "max_speakers": 3}, "num_speakers is exact"),
        ({"min_speakers": 3, "max_speakers": 2}, "min_speakers 3 is above max_speakers 2"),
        ({"min_speakers": 0}, "min_speakers"),
    ],
)
def test_how_many_speak_is_told_without_contradiction(counts: dict[str, int], line: str) -> None:
    changes = [f"diarize.{name}={count}" for name, count in counts.items()]
    with pytest.raises(InputError, match=line):
        load_profile("paper", ["diarize.num_speakers=null", *changes])


def test_channels_take_no_reference_boundaries() -> None:
    with pytest.raises(InputError, match="channels goes with segmentation: vad"):
        load_profile("demo", ["diarize.pipeline=channels", "segmentation=reference"])
    assert not load_profile("demo", ["by_channel=true"]).by_channel  # it follows from the pipeline


def test_a_version_that_says_nothing_needs_a_profile(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="does not say with which speech models"):
        version_speech(tmp_path / "model")
    assert version_speech(tmp_path / "model", "demo").step.diarize == DEMO.diarize


def test_other_weights_of_the_same_name_are_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    names = DEMO.transcribe.model, DEMO.diarize.pipeline
    for name in names:
        (settings.models / name).mkdir(parents=True)
        (settings.models / name / "weights").write_text("as trained")
    digests = speech_digests(DEMO, settings)
    assert set(digests) == set(names)
    speech = version_speech(write_version(tmp_path / "model", **digests))
    assert speech.check_here(settings) == digests

    (settings.models / names[0] / "weights").write_text("others")
    with pytest.raises(InputError, match=f"{names[0]} of digest .* has digest") as caught:
        speech.check_here(settings)
    assert "\n" not in str(caught.value)
    empty = Settings(home=tmp_path / "empty")
    with pytest.raises(InputError, match=f"{names[0]} of digest .* is not there"):
        speech.check_here(empty)
    # What was made with a hub's model knows its name alone.
    by_name = {name: name for name in names}
    assert version_speech(write_version(tmp_path / "named", **by_name)).check_here(settings)
