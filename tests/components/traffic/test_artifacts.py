"""Erasing reaches what a cluster's pipelines left in the object store."""

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base import Unavailable, Url
from components.config import ClusterSettings
from components.traffic import Artifacts, Copies
from components.traffic.artifacts import LATE
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET

ROOT = Url(BUCKET, "v2/artifacts")
RUN = ROOT / "moodline-retrain/run-1"
NAMES = ("call-1", "feedback-r1", "feedback-r2")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def put_words(place: Url) -> None:
    """What a step makes of recordings; KFP gives it no suffix."""
    file = io.BytesIO()
    pq.write_table(pa.table({"recording": NAMES, "text": ["secret words"] * 3}), file)
    place.put_bytes(file.getvalue())


def run(*, days: float = 0) -> None:
    """A run leaves its artifacts; the second recording is so old."""
    rows = [{"recording": n, "audio": f"{n}.flac", "reference": "references.parquet"}
            for n in NAMES]  # fmt: skip
    (RUN / "corpus/manifest/manifest.jsonl").put_bytes("\n".join(map(json.dumps, rows)).encode())
    sources = {
        "feedback-r1": {"recording": "a" * 32, "labels": {}, "time": at(days)},
        "feedback-r2": {"recording": "b" * 32, "labels": {}, "time": at(0)},
    }
    (RUN / "corpus/manifest/sources.json").put_bytes(json.dumps(sources).encode())
    put_words(RUN / "transcribe/transcripts")
    (RUN / "train/model/model.safetensors").put_bytes(b"weights")
    (RUN / "train/empty").put_bytes(b"")


def at(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def kept(place: Url) -> list[str]:
    return list(pq.read_table(io.BytesIO(place.read_bytes()))["recording"].to_pylist())


def left() -> tuple[list[str], list[str], list[str]]:
    """The recordings in the manifest, in `sources.json` and among the words."""
    text = (RUN / "corpus/manifest/manifest.jsonl").read_bytes().decode()
    rows = [json.loads(line)["recording"] for line in text.splitlines()]
    sources = json.loads((RUN / "corpus/manifest/sources.json").read_bytes())
    return rows, sorted(sources), kept(RUN / "transcribe/transcripts")


def test_a_recording_is_erased_from_every_artifact(store: Store, tmp_path: Path) -> None:
    run()
    copies = Copies(tmp_path / "runs", tmp_path / "cache", Artifacts(ROOT))
    before = (RUN / "train/model/model.safetensors").state()
    # By the log's name alone, as the log may have forgotten its requests.
    assert copies.erase(set(), ["a" * 32]) == 3
    assert left() == (["call-1", "feedback-r2"], ["feedback-r2"], ["call-1", "feedback-r2"])
    assert copies.erase({"r2"}, []) == 3
    assert left() == (["call-1"], [], ["call-1"])
    assert (RUN / "train/model/model.safetensors").state() == before
    assert copies.erase({"r2"}, []) == 0


def test_a_run_that_goes_on_keeps_nothing_of_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = Artifacts(ROOT)
    run()
    artifacts.erase({"feedback-r1"}, [])
    put_words(RUN / "align/turns")  # by a step that had read its corpus before
    assert artifacts.sweep(content_days=30) == 1
    assert kept(RUN / "align/turns") == ["call-1", "feedback-r2"]
    assert store.names("v2/artifacts/moodline-erased") != []
    later = time.time() + LATE + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert artifacts.sweep(content_days=30) == 0
    assert store.names("v2/artifacts/moodline-erased") != []  # content may be as old
    (RUN / "corpus/manifest/sources.json").delete()  # by it the others are too old, too
    assert artifacts.sweep(content_days=7) == 0
    assert store.names("v2/artifacts/moodline-erased") == []


def test_words_go_when_they_are_too_old(store: Store) -> None:
    run(days=31)
    assert Artifacts(ROOT).sweep(content_days=30) == 3
    assert left() == (["call-1", "feedback-r2"], ["feedback-r2"], ["call-1", "feedback-r2"])
    assert Artifacts(ROOT).sweep(content_days=30) == 0


def test_other_teams_files_and_damaged_ones_stop_nothing(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They lie below the same root, some under our names."""
    run(days=31)
    others = ROOT / "another-team/run"
    file = io.BytesIO()
    pq.write_table(pa.table({"recording": ["a"] * 10, "text": ["x" * 50] * 10}), file)
    whole = file.getvalue()
    foreign = {
        others / "manifest.jsonl": b'{"audio_filepath": "a.wav", "text": "x"}\n[1]\n{"recording"',
        others / "binary/manifest.jsonl": b"\xff\xfe",
        others / "sources.json": b'["a", "b"]',
        others / "more/sources.json": b'{"a": {"url": "x"}, "b": [], "c": {"recording": []}}',
        others / "when/sources.json": b'{"a": {"recording": "x", "time": "yesterday"}}',
        others / "damaged/sources.json": b"{",
        others / "page": whole[:10] + bytes(60) + whole[70:],
        others / "cut": whole[: len(whole) // 2],
        ROOT / "moodline-erased/read.me": b"not ours",
    }
    for url, content in foreign.items():
        url.put_bytes(content)
    copies = Copies(tmp_path / "runs", tmp_path / "cache", Artifacts(ROOT))
    assert copies.sweep(content_days=30) == 3
    assert copies.erase(set(), ["b" * 32]) == 3
    assert left() == (["call-1"], [], ["call-1"])
    assert {url: url.read_bytes() for url in foreign} == foreign
    for name in ("another-team/run/manifest.jsonl", "run/page", "run/cut", "read.me"):
        assert f"{name}: is passed over" in caplog.text


def test_an_object_that_cannot_be_read_now_is_told_after_all_others_are_done(
    store: Store, tmp_path: Path
) -> None:
    run()
    copies = Copies(tmp_path / "runs", tmp_path / "cache", Artifacts(ROOT))
    store.door.locked = "manifest.jsonl"
    with pytest.raises(Unavailable, match=r"manifest\.jsonl: the object store refuses"):
        copies.erase({"r1"}, [])
    store.door.locked = ""
    assert left() == (list(NAMES), ["feedback-r2"], ["call-1", "feedback-r2"])
    assert copies.sweep(content_days=30) == 1
    assert left() == (["call-1", "feedback-r2"], ["feedback-r2"], ["call-1", "feedback-r2"])
    store.door.refuse(503, "ServiceUnavailable", after=3)
    began = len(store.door.asked)
    with pytest.raises(Unavailable):
        copies.sweep(content_days=30)
    assert len(store.door.asked) - began < 60  # a store that is away is not asked for each


def test_an_object_is_searched_once_for_a_name(store: Store) -> None:
    run()
    artifacts = Artifacts(ROOT)
    artifacts.erase({"feedback-r1"}, [])
    artifacts.sweep(content_days=30)
    began = len(store.door.asked)
    assert artifacts.sweep(content_days=30) == 0
    # Two lists of names, the mark, and where recordings come from.
    assert len(store.door.asked) - began == 4
    assert artifacts.erase({"feedback-r2"}, []) == 3
    asked = "".join(store.door.asked[began:])
    assert "model.safetensors" not in asked


def test_names_stay_noted_for_as_long_as_a_step_may_take() -> None:
    cluster = ClusterSettings()
    assert cluster.timeout * (cluster.retries + 1) <= LATE
