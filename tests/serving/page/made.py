"""Conversations as the service keeps them once they are analysed, of any length, made up."""

import io
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from components.conversation import DEFAULT_LABELS, PEAKS_PER_SECOND, Turn, peaks
from components.traffic import (
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    keep_audio,
    owner_id,
    recording_id,
)
from serving.api.job_store import JobStore, new_id
from serving.database import ServiceDatabase
from serving.settings import ServeSettings

RATE = 16_000
TEXTS = (
    "Hello, who is it?", "It's me, I missed the last train and I am still at the station.",
    "Again?", "I know, I know. Could you come and fetch me?", "Well, all right. Half an hour.",
    "You are wonderful!", "I hate this line, it is late every single day of the week.",
)  # fmt: skip


def sound(seconds: float) -> bytes:
    """A hum that comes and goes, as a WAV file."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = 0.4 * np.sin(2 * np.pi * 220 * time) * (0.3 + 0.7 * np.abs(np.sin(time * 1.7)))
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def answer(
    turns: int, seconds: float, labels: Sequence[str] = DEFAULT_LABELS, texts: Sequence[str] = TEXTS
) -> dict[str, Any]:
    """A result as the service gives it: two speakers in turn, each turn a label and its words."""
    dice = np.random.default_rng(7)
    step = seconds / turns
    entries, words = [], []
    for number in range(turns):
        shares = dice.dirichlet(np.full(len(labels), 0.6))
        text, speaker = texts[number % len(texts)], f"SPEAKER_{number % 2:02d}"
        start, length = number * step, step * (1.1 if number % 5 == 3 else 0.9)
        end = min(start + length, seconds)
        spoken = text.split()
        for place, word in enumerate(spoken):
            at = start + (end - start) * place / len(spoken)
            words.append(
                {"word": word, "start": at, "end": at + (end - start) / len(spoken),
                 "score": 0.3 if place == 2 else 0.95, "speaker": speaker}
            )  # fmt: skip
        entries.append(
            {"session_id": "made", "start_time": start, "end_time": end, "speaker": speaker,
             "words": text, "emotion": labels[int(shares.argmax())],
             "confidence": float(shares.max()),
             "probabilities": dict(zip(labels, shares.tolist(), strict=True)),
             "speaker_confidence": 0.55 if number % 9 == 4 else 0.97}
        )  # fmt: skip
    whole = [
        {**{name: entries[n][name] for name in ("session_id", "start_time", "speaker")},
         "end_time": entries[min(n + 1, turns - 1)]["end_time"],
         "words": " ".join(entry["words"] for entry in entries[n : n + 2])}
        for n in range(0, turns, 2)
    ]  # fmt: skip
    outline = peaks(np.abs(dice.normal(0, 0.2, round(seconds * PEAKS_PER_SECOND) * 800)))
    return {
        "model": {"name": "moodline", "version": "3", "labels": list(labels)},
        "duration": seconds, "language": "en", "turns": entries, "words": words,
        "unaligned": whole,
        "waveform": {"per_second": PEAKS_PER_SECOND, "peaks": outline.tolist()},
    }  # fmt: skip


def keep(
    home: Path,
    result: dict[str, Any],
    recording: str = "made",
    owner: str = "",
    heard: np.ndarray | None = None,
) -> str:
    """Put it into a service's home, as a job that is done, with its turns in the log, and with its
    sound there if that is given; its id."""
    id = new_id()
    result = result | {"request_id": id}
    with closing(ServiceDatabase(ServeSettings().store_url(home))) as database:
        store = JobStore(database)
        store.add_job(id, owner, recording, {}, 1_000, False)
        store.queue(id)
        claimed = store.claim("made", 60)
        assert claimed is not None and claimed.id == id
        assert store.finish(id, "made", result)
    _log(home, id, result, recording, owner, heard)
    return id


def _log(
    home: Path,
    id: str,
    result: dict[str, Any],
    recording: str,
    owner: str,
    heard: np.ndarray | None,
) -> None:
    logged = []
    measures = {"duration": 1.0, "words_per_second": 2.0, "loudness_db": -20.0, "snr_db": 20.0}
    for entry in result["turns"]:
        fields = {"start_time": "start", "end_time": "end"}
        turn = Turn(**{fields.get(name, name): value for name, value in entry.items()})
        logged.append(LoggedTurn(turn, np.zeros(8, "f4"), measures))
    with closing(TurnLog(home / "log", f"sqlite:///{home}/feedback.db")) as log:
        key = log.key()
        name, at = recording_id(f"{owner}/{recording}", key), datetime.now(UTC)
        if heard is not None:
            keep_audio(audio_path(home / "log", name, id, at), heard)
        request = LoggedRequest(
            id, name, at, "/v1/jobs", 3, "production", heard is not None, tuple(logged),
            owner=owner_id(owner, key), labels=tuple(result["model"]["labels"]),
        )  # fmt: skip
        with closing(LogWriter(log)) as writer:
            writer.write(request)
