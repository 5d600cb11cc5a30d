"""Stretches go to the voice that they have; a speaker without a voice is nobody."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Annotation, Segment

from components.base import Stopped
from components.diarize.demo.second_pass import embedded_again

A, B, NOBODY = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]


def said(*turns: tuple[float, float, str]) -> Annotation:
    annotation = Annotation()
    for number, (start, end, speaker) in enumerate(turns):
        annotation[Segment(start, end), number] = speaker
    return annotation


def who(annotation: Annotation) -> list[tuple[float, float, str]]:
    return [(turn.start, turn.end, name) for turn, _, name in annotation.itertracks(True)]


def pipeline(voices: Mapping[float, list[float]]) -> Any:
    """Embeds a stretch as the voice that `voices` names by its start."""
    return SimpleNamespace(
        _audio=SimpleNamespace(crop=lambda _, turn, mode: (torch.tensor([[turn.start]]), 1)),
        _embedding=lambda waveform: np.array([voices[round(float(waveform.item()), 3)]]),
    )


@pytest.mark.parametrize("centred", [True, False])
def test_a_long_stretch_goes_to_the_voice_that_it_has_and_a_short_one_stays(centred: bool) -> None:
    turns = said((0, 2, "1"), (3, 5, "1"), (6, 8, "2"), (9, 9.3, "2"))
    output = DiarizeOutput(turns, turns, np.array([A, B]))
    again = embedded_again(pipeline({0: A, 3: B, 6: B, 9: A}), {}, output, centred=centred)
    for annotation in (again.speaker_diarization, again.exclusive_speaker_diarization):
        assert [name for *_, name in who(annotation)] == ["1", "2", "2", "2"]


def test_what_a_step_raises_ends_it() -> None:
    """An hour has hundreds of stretches; a deadline does not wait for all of them."""
    turns = said((0, 2, "1"), (3, 5, "1"), (6, 8, "2"))
    output = DiarizeOutput(turns, turns, np.array([A, B]))
    begun: list[None] = []

    def step() -> None:
        begun.append(None)
        if len(begun) == 2:
            raise Stopped("nobody waits")

    with pytest.raises(Stopped):
        embedded_again(pipeline({0: A}), {}, output, centred=False, step=step)


def test_a_speaker_without_a_voice_is_taken_out() -> None:
    both = said((0, 2, "1"), (1.9, 1.92, "2"))
    alone = said((0, 2, "1"))
    output = DiarizeOutput(both, alone, np.array([A, NOBODY]))
    again = embedded_again(pipeline({}), {}, output, centred=False)
    assert who(again.speaker_diarization) == who(alone)
    assert again.speaker_embeddings is not None
    assert again.speaker_embeddings.tolist() == [A]


def test_where_clustering_knows_no_voice_all_speech_stays() -> None:
    turns = said((0, 0.2, "1"))
    output = DiarizeOutput(turns, turns, np.array([NOBODY]))
    again = embedded_again(pipeline({}), {}, output, centred=False)
    assert who(again.speaker_diarization) == who(turns)
