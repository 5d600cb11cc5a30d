"""Pipelines in the form of the hub's speaker-diarization 3.1 and community-1, by real pyannote."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pyannote.audio.models.embedding import WeSpeakerResNet34

from components.config import DiarizeSettings, Settings, load_profile
from components.conversation import SAMPLE_RATE, SpeakerSegment
from components.diarize import Diarizer
from components.diarize.demo.resemblyzer import Resemblyzer
from tests.components.diarize.full_size import CONFIGS, build, write_checkpoint
from tests.components.diarize.test_diarizer import annotation, error_rate

Talk = tuple[np.ndarray, list[SpeakerSegment]]

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=CONFIGS)
def full_size(
    request: pytest.FixtureRequest, models_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Diarizer:
    """Each of the two, found by the name that it has on the hub."""
    models = tmp_path_factory.mktemp("models")
    name = f"pyannote/{request.param}"
    build(request.param, models_home / "diarization-demo", models / name)
    return Diarizer(DiarizeSettings(pipeline=name), Settings(models=models))


@pytest.fixture(scope="module")
def talk(dialogue: Talk) -> Talk:
    """The first turns of a dialogue."""
    audio, truth = dialogue
    kept = [segment for segment in truth if segment.end < 14]
    return audio[: int((kept[-1].end + 0.3) * SAMPLE_RATE)], kept


def test_the_paper_s_profile_names_one_of_them() -> None:
    assert load_profile("paper").diarize.pipeline.split("@")[0].removeprefix("pyannote/") in CONFIGS


def test_two_voices(full_size: Diarizer, talk: Talk) -> None:
    audio, truth = talk
    diarized = full_size.diarize(audio, 2)
    assert len({s.speaker for s in diarized.segments}) == 2
    assert error_rate(truth, diarized.segments, audio) < 0.2
    assert error_rate(truth, diarized.exclusive, audio) < 0.2


def test_overlap_is_kept_and_beside_it_is_one_speaker_at_a_time(
    full_size: Diarizer, talk: Talk
) -> None:
    audio, truth = talk
    (a, b) = (next(s for s in truth if s.speaker == speaker) for speaker in ("Ses03_F", "Ses03_M"))
    one, other = (audio[int(s.start * SAMPLE_RATE) : int(s.end * SAMPLE_RATE)] for s in (a, b))
    length = min(len(one), len(other))
    diarized = full_size.diarize(np.concatenate([audio, one[:length] + other[:length]]), 2)
    assert annotation(diarized.segments).get_overlap().duration() > 0.1
    assert annotation(diarized.exclusive).get_overlap().duration() == 0


def test_given_stretches_are_told_apart_by_its_own_embedding_and_clustering(
    full_size: Diarizer, talk: Talk
) -> None:
    audio, truth = talk
    diarized = full_size.diarize(audio, 2, [(s.start, s.end) for s in truth]).segments
    assert [(s.start, s.end) for s in diarized] == [(s.start, s.end) for s in truth]
    assert error_rate(truth, diarized, audio) == pytest.approx(0, abs=1e-6)


def test_more_speakers_are_asked_for_than_speak(full_size: Diarizer, talk: Talk) -> None:
    diarized = full_size.diarize(talk[0][: 6 * SAMPLE_RATE], 5).segments
    assert 1 <= len({s.speaker for s in diarized}) <= 5


def test_a_wespeaker_embedding(
    models_home: Path, dialogue: Talk, tmp_path: Path, voices: Callable[[int], Talk]
) -> None:
    """The architecture of the published ones; its weights are random, its path is real."""
    folder = tmp_path / "wespeaker"
    build("speaker-diarization-3.1", models_home / "diarization-demo", folder)
    torch.manual_seed(0)
    model = WeSpeakerResNet34()
    model.specifications = Resemblyzer().specifications
    (folder / "embedding" / "pytorch_model.bin").unlink()
    (folder / "embedding").rmdir()
    write_checkpoint(model, folder / "embedding")
    diarizer = Diarizer(DiarizeSettings(pipeline="wespeaker"), Settings(models=tmp_path))
    given = [(0.5, 3.0), (2.5, 6.0), (2.6, 2.65), (6.5, 7.4), (7.5, 9.0)]
    diarized = diarizer.diarize(dialogue[0][: 9 * SAMPLE_RATE], 2, given).segments
    assert [(s.start, s.end) for s in diarized] == given
    assert len({s.speaker for s in diarized}) == 2
