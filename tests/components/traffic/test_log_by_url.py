"""A log whose key and sound lie in an object store, which the copies of a service share."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError, Unavailable, Url
from components.config import Settings
from components.conversation import read_audio, read_manifest
from components.traffic import (
    Correction,
    ErasedTurns,
    FeedbackStore,
    KeyMissingError,
    LogWriter,
    TurnLog,
    audio_path,
    export_feedback,
    keep_audio,
    recording_key,
)
from serving.engine.prediction_log import LogSettings, PredictionLog
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET
from tests.components.traffic.conftest import NOW, MakeAnswer

PLACE = Url(BUCKET, "traffic/log")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def log(store: Store, tmp_path: Path) -> Iterator[TurnLog]:
    with closing(TurnLog(PLACE, f"sqlite:///{tmp_path}/feedback.db")) as opened:
        yield opened


def test_the_setting_takes_an_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    assert Settings().log_location == tmp_path / "log"
    monkeypatch.setenv("MOODLINE_LOG", str(PLACE))
    settings = Settings()
    assert (settings.log_location, settings.log) == (PLACE, tmp_path / "log")
    for name, value in settings.environment().items():  # as a child process has them
        monkeypatch.setenv(name, value)
    assert Settings().log_location == PLACE
    monkeypatch.setenv("MOODLINE_LOG", "ftp://calls/log")
    with pytest.raises(InputError, match=r"^MOODLINE_LOG_STORE=ftp:"):
        Settings()


def test_writers_that_start_together_share_one_key(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(recording_key, [PLACE] * 8))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert store.names("traffic/log") == ["traffic/log/key"]


def test_sound_is_kept_trained_on_and_erased_there(
    log: TurnLog, store: Store, answer: MakeAnswer, tmp_path: Path
) -> None:
    sound = np.linspace(-0.5, 0.5, 80_000, dtype="f4")
    key = log.key()
    with closing(LogWriter(log)) as writer:
        for number, name in enumerate(("a", "b", "a")):
            request = answer(number, recording=name, audio=True)
            keep_audio(audio_path(PLACE, name, request.request_id, request.time), sound)
            writer.write(request)
    with closing(FeedbackStore(f"sqlite:///{tmp_path}/feedback.db")) as feedback:
        for number in range(3):
            feedback.record(Correction(f"request-000{number}", 0, "sad", "reviewer"))
        entries = feedback.entries()
    done = export_feedback(entries, PLACE, tmp_path / "corpus")
    assert (done.recordings, done.turns, done.without_audio) == (3, 3, 0)
    first = read_manifest(tmp_path / "corpus")[0]
    assert read_audio(first.audio) == pytest.approx(sound, abs=1e-4)
    assert log.requests(["a"]) == {"request-0000", "request-0002"}
    assert log.erase(["a"]) == ErasedTurns(4 + 2, 2, 0)
    day = f"traffic/log/audio/day={NOW:%Y-%m-%d}"
    assert store.names("traffic/log/audio") == [f"{day}/b.request-0001.flac"]
    assert log.key() == key  # the log is not empty: no other one may take its place
    store.client.delete_object(Bucket=BUCKET, Key="traffic/log/key")
    with pytest.raises(KeyMissingError, match="s3://moodline/traffic/log/key: is not there"):
        log.key()


def test_what_is_under_way_and_what_is_too_old_go(
    log: TurnLog, store: Store, answer: MakeAnswer
) -> None:
    began = log.begin("request-0001", "a")
    log.erase(["a"])
    old = NOW - timedelta(days=40)
    for name, request_id, time in (("a", "request-0001", NOW), ("b", "r2", NOW), ("c", "r3", old)):
        keep_audio(audio_path(PLACE, name, request_id, time), np.zeros(1600, "f4"))
    assert log.end("request-0001", began)
    assert [name[-8:] for name in store.names("traffic/log/audio")] == [".r3.flac", ".r2.flac"]
    assert log.sweep(content_days=30, days=365) == (0, 1)
    assert [name[-9:] for name in store.names("traffic/log/audio")] == ["b.r2.flac"]


def test_a_store_that_is_away_fails_no_answer(
    store: Store, answer: MakeAnswer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = LogSettings(audio=True)
    log = PredictionLog(PLACE, f"sqlite:///{tmp_path}/feedback.db", allowed)
    try:
        request = answer(1, audio=True)
        store.door.refuse(503, "SlowDown")
        asked = len(store.door.asked)
        failures = [log._write(request, np.zeros(1600, "f4")) for _ in range(2)]
        assert all(isinstance(failure, Unavailable) for failure in failures)
        assert len(store.door.asked) - asked == 3  # the second answer did not wait for it again
        (row, *_) = log.turns.window().to_pylist()
        assert not row["audio"]
    finally:
        asyncio.run(log.close())
