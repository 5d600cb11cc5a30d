"""What a caller tells of the words."""

from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.conversation import read_audio
from components.transcribe import Hints, Transcriber

pytestmark = pytest.mark.models


def test_names_are_written_as_told_and_the_style_is_taken_up(
    transcriber: Transcriber, sample_dir: Path
) -> None:
    audio = read_audio(sample_dir / "sample.wav", 12.4, 18.0)

    def text(hints: Hints) -> str:
        parts = transcriber.transcribe(audio, language="en", hints=hints)
        return " ".join(part.text for part in parts)

    assert text(Hints()).startswith("This is Diana New Jersey and I'm Sheila")
    told = text(Hints(hotwords="Dianne, Sheilah"))
    assert told.startswith("This is Dianne in New Jersey and I'm Sheilah")
    assert text(Hints(prompt="we write all small without any marks")).startswith("this is Diane")


def test_hints_longer_than_whisper_takes_are_refused(transcriber: Transcriber) -> None:
    sound = np.zeros(16_000, np.float32)
    for hints in (Hints(hotwords="name, " * 51), Hints(prompt="word " * 101)):
        with pytest.raises(InputError, match=r"(hotwords|prompt): has 10\d tokens .* takes 100"):
            transcriber.transcribe(sound, hints=hints)
    assert transcriber.transcribe(sound, hints=Hints(prompt="word " * 100)) == []


def test_hotwords_end_as_a_sentence() -> None:
    assert Hints(" Ann, Bob ").terms == "Ann, Bob."
    assert Hints("Glossary: Ann!").terms == "Glossary: Ann!"
    assert (Hints(" ").terms, Hints().before) == (None, None)
