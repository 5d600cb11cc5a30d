"""The demo's diarization on synthetic and on real speech, and on what is not speech."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from components.base import InputError, watched
from components.config import DiarizeSettings, Settings
from components.conversation import SAMPLE_RATE, SpeakerSegment, read_audio, read_rttm
from components.diarize import Diarization, Diarizer

Talk = tuple[np.ndarray, list[SpeakerSegment]]


def annotation(segments: Sequence[SpeakerSegment]) -> Annotation:
    result = Annotation()
    for number, segment in enumerate(segments):
        result[Segment(segment.start, segment.end), number] = segment.speaker
    return result


def error_rate(
    truth: Sequence[SpeakerSegment], diarized: Sequence[SpeakerSegment], audio: np.ndarray
) -> float:
    """The diarization error rate at collar 0, over the whole recording."""
    whole = Timeline([Segment(0, len(audio) / SAMPLE_RATE)])
    return float(
        DiarizationErrorRate(collar=0.0)(annotation(truth), annotation(diarized), uem=whole)
    )


def speakers(segments: Sequence[SpeakerSegment]) -> int:
    return len({segment.speaker for segment in segments})


@pytest.mark.models
@pytest.mark.parametrize("number", [2, None])
def test_a_dialogue(diarizer: Diarizer, dialogue: Talk, number: int | None) -> None:
    audio, truth = dialogue
    diarized = diarizer.diarize(audio, number).segments
    assert list(diarized) == sorted(diarized)
    assert speakers(diarized) == 2
    assert error_rate(truth, diarized, audio) < 0.12


@pytest.mark.models
def test_limits_of_how_many_speak(diarizer: Diarizer, dialogue: Talk) -> None:
    audio = dialogue[0][: 20 * SAMPLE_RATE]
    assert speakers(diarizer.diarize(audio, max_speakers=1).segments) == 1
    assert speakers(diarizer.diarize(audio, min_speakers=3, max_speakers=4).segments) in (3, 4)


@pytest.mark.models
@pytest.mark.parametrize("number", [2, None])
def test_two_women_on_the_telephone(
    diarizer: Diarizer, sample_dir: Path, number: int | None
) -> None:
    audio = read_audio(sample_dir / "sample.wav")
    truth = read_rttm(sample_dir / "sample.rttm")["sample"]
    assert error_rate(truth, diarizer.diarize(audio, number).segments, audio) < 0.15


@pytest.mark.models
def test_one_voice(diarizer: Diarizer, voices: Callable[[int], Talk]) -> None:
    audio, truth = voices(1)
    diarized = diarizer.diarize(audio).segments
    assert speakers(diarized) == 1
    assert error_rate(truth, diarized, audio) < 0.15


@pytest.mark.models
def test_five_voices(diarizer: Diarizer, voices: Callable[[int], Talk]) -> None:
    audio, truth = voices(5)
    diarized = diarizer.diarize(audio, 5).segments
    assert speakers(diarized) == 5
    assert error_rate(truth, diarized, audio) < 0.4
    # 43 s are little to count five by: near is what can be asked for
    assert 3 <= speakers(diarizer.diarize(audio).segments) <= 8


@pytest.mark.models
def test_overlapping_speech_is_kept_and_beside_it_one_speaker_at_a_time(
    diarizer: Diarizer, dialogue: Talk
) -> None:
    audio, _ = dialogue
    first, second = audio[: 8 * SAMPLE_RATE], audio[8 * SAMPLE_RATE : 16 * SAMPLE_RATE]
    both = np.concatenate([audio[: 16 * SAMPLE_RATE], first + second])
    diarized = diarizer.diarize(both, 2)
    exclusive = annotation(diarized.exclusive)
    assert annotation(diarized.segments).get_overlap().duration() > 0.5
    assert exclusive.get_overlap().duration() == 0
    assert exclusive.get_timeline().duration() > 10


@pytest.mark.models
@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(0, dtype=np.float32),
        np.zeros(1, dtype=np.float32),
        np.zeros(7 * SAMPLE_RATE, dtype=np.float32),
        np.random.default_rng(0).normal(0, 0.1, 7 * SAMPLE_RATE).astype(np.float32),
    ],
    ids=["nothing", "one sample", "silence", "noise"],
)
@pytest.mark.parametrize("number", [2, None])
def test_where_nobody_speaks_there_are_no_segments(
    diarizer: Diarizer, audio: np.ndarray, number: int | None
) -> None:
    assert diarizer.diarize(audio, number) == Diarization((), ())


@pytest.mark.models
@pytest.mark.parametrize("number", [1, 2, None])
def test_less_than_a_chunk(diarizer: Diarizer, dialogue: Talk, number: int | None) -> None:
    audio, truth = dialogue
    start, end = truth[0].start, truth[0].end
    diarized = diarizer.diarize(
        audio[int(start * SAMPLE_RATE) : int((start + 1) * SAMPLE_RATE)], number
    ).segments
    assert end - start > 1
    assert speakers(diarized) == 1
    assert sum(s.end - s.start for s in diarized) > 0.6


@pytest.mark.models
def test_steps_go_on_while_stretches_are_heard_again(diarizer: Diarizer, dialogue: Talk) -> None:
    shares: list[float] = []
    again = 0

    with watched() as stages:

        def step(share: float) -> None:
            nonlocal again
            again += "hear_again" in stages.spent
            shares.append(share)

        diarizer.diarize(dialogue[0][: 20 * SAMPLE_RATE], 2, step=step)
    assert again > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.models
def test_nothing_is_written_to_standard_output(
    diarizer: Diarizer, dialogue: Talk, capfd: pytest.CaptureFixture[str]
) -> None:
    diarizer.diarize(dialogue[0][: 10 * SAMPLE_RATE], 2)
    assert capfd.readouterr().out == ""


class Leaky:
    """A pipeline that tells its token to everybody."""

    def __init__(self, token: str, **_: object) -> None:
        raise AttributeError(f"no such file,\nasked for with {token}")


@pytest.mark.parametrize("variable", ["MOODLINE_HUB_TOKEN", "HF_TOKEN"])
def test_a_pipeline_that_cannot_be_loaded_and_a_token_that_stays_secret(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.delenv("MOODLINE_HUB_TOKEN", raising=False)
    monkeypatch.setenv(variable, "hf_topsecret")
    settings = Settings(models=tmp_path)
    assert settings.token == "hf_topsecret"
    (tmp_path / "leaky").mkdir()
    (tmp_path / "leaky" / "config.yaml").write_text(f"pipeline: {{name: {__name__}.Leaky}}")
    caplog.set_level("DEBUG")
    for name, said in (("nobody/nothing", "nothing cannot be"), ("leaky", "asked for with …")):
        with pytest.raises(InputError, match=said) as caught:
            Diarizer(DiarizeSettings(pipeline=name), settings)
        output = "".join(capfd.readouterr()) + caplog.text + str(caught.value) + repr(settings)
        assert "topsecret" not in output + str(settings.environment())
        assert "\n" not in str(caught.value)


@pytest.mark.models
def test_a_pipeline_of_version_0_1_is_migrated_once(
    models_home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its `config.yaml` names the class by a module that has moved."""
    folder = tmp_path / "diarization-demo"
    shutil.copytree(models_home / "diarization-demo", folder)
    config = folder / "config.yaml"
    now = config.read_text()
    config.write_text(now.replace(".diarize.demo.pipeline.", ".diarize.pipeline."))
    assert config.read_text() != now
    for _ in range(2):
        Diarizer(DiarizeSettings(pipeline=str(folder)), Settings(models=tmp_path))
    assert config.read_text() == now
    (line,) = [r.getMessage() for r in caplog.records if r.name == "moodline.migration"]
    assert line.startswith(f"migrated {config}: components.diarize.pipeline.CentredDiarization is")


def test_the_pipelines_older_form_of_answer() -> None:
    from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput

    from components.diarize.diarizer import _diarization

    both, single = Annotation(), Annotation()
    both[Segment(0, 2), "a"] = "SPEAKER_00"
    both[Segment(1, 3), "b"] = "SPEAKER_01"
    single[Segment(0, 1), "a"] = "SPEAKER_00"
    overlapping = (SpeakerSegment(0, 2, "SPEAKER_00"), SpeakerSegment(1, 3, "SPEAKER_01"))
    alone = (SpeakerSegment(0, 1, "SPEAKER_00"),)
    assert _diarization(DiarizeOutput(both, single)) == Diarization(overlapping, alone)
    assert _diarization(both) == Diarization(overlapping, overlapping)
