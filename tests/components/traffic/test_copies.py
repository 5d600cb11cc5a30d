"""Copies that retraining makes on its own are erased with their recording."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from components.base import Cache, Unavailable
from components.conversation import (
    FEEDBACK,
    Recording,
    Utterance,
    read_manifest,
    work_through,
    write_documents,
    write_manifest,
)
from components.corpus import join_feedback
from components.traffic import Copies

SECRET = "words that somebody said"


def recording(name: str, sound: Path, fold: str = FEEDBACK, labels: int = 1) -> Recording:
    soundfile.write(sound, np.random.default_rng(len(name)).normal(0, 0.1, 16_000), 16_000)
    spoken = (
        Utterance(f"{name}_{n:04d}", name, n / 4, n / 4 + 0.25, f"{name}_A", None, "", "sad")
        for n in range(labels)
    )
    return Recording(name, sound, fold, None, tuple(spoken))


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """Those of a trigger's run on two recordings: `gone` and `kept`, beside a labelled corpus."""
    copies = Copies(tmp_path / "runs", tmp_path / "cache")
    run = copies.runs / "trigger-000001"
    run.mkdir(parents=True)
    (tmp_path / "sound").mkdir()
    came = [recording(f"feedback-{n}", tmp_path / "sound" / f"{n}.flac") for n in ("gone", "kept")]
    write_manifest(run / "feedback", came, take_audio=True)
    sources = {r.name: {"recording": f"id of {r.name}", "labels": {}} for r in came}
    (run / "feedback" / "sources.json").write_text(json.dumps(sources))
    labelled = recording("call", tmp_path / "sound" / "call.flac", "week-1", 2)
    write_manifest(tmp_path / "corpus", [labelled])
    joined = join_feedback(tmp_path / "corpus", run / "feedback", Cache(copies.cache))
    transcribe(copies, run / "step" / "transcripts", read_manifest(joined))
    rows = [{"recording": r.name, "text": f"{SECRET}: {r.name}"} for r in (*came, labelled)]
    pq.write_table(pa.Table.from_pylist(rows), run / "step" / "examples")
    return copies


def transcribe(
    copies: Copies,
    out: Path,
    recordings: list[Recording],
    key: Callable[[Recording], list[str]] = lambda r: [r.name],
) -> None:
    def make(one: Recording, _: object) -> Mapping[str, str]:
        return {"transcripts": json.dumps({"text": f"{SECRET}: {one.name}"})}

    cache = Cache(copies.cache)
    made = work_through(recordings, ["transcripts"], key, make, suffix=".json", cache=cache)
    write_documents(out, made)


def traces(copies: Copies, name: str) -> list[Path]:
    """The files that name a recording, or hold its words."""
    found = []
    for path in (*copies.runs.rglob("*"), *copies.cache.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if content.startswith(b"PAR1"):  # a step's output has no suffix
                content = str(pq.ParquetFile(path).read().to_pylist()).encode()
            if name in str(path) or name.encode() in content:
                found.append(path)
    return found


@pytest.mark.parametrize(
    "known", [({"gone"}, set()), (set(), {"id of feedback-gone"})], ids=["by answer", "by name"]
)
def test_a_recording_is_erased_from_every_copy_and_others_stay(
    copies: Copies, known: tuple[set[str], set[str]]
) -> None:
    before = {name: len(traces(copies, f"feedback-{name}")) for name in ("gone", "kept")}
    assert before["gone"] == before["kept"] > 8
    assert copies.erase({"never was"}, {"nor this"}) == 0
    assert copies.erase(*known) > 8
    assert traces(copies, "feedback-gone") == []
    assert len(traces(copies, "feedback-kept")) == before["kept"]
    (joined,) = (copies.cache / "corpora").glob("*/*")
    for corpus in (joined, copies.runs / "trigger-000001" / "feedback"):
        assert "feedback-kept" in {r.name for r in read_manifest(corpus)}
    assert copies.erase(*known) == 0


def test_what_version_0_1_cached_is_found_by_its_content(copies: Copies) -> None:
    """It named nothing in the cache by its recording, and its runs had a file of each."""
    (owned,) = copies.cache.glob("transcripts/of-feedback-gone/*")
    run = copies.runs / "trigger-000000" / "transcripts"
    run.mkdir(parents=True)
    (run / "feedback-gone.json").write_text(owned.read_text())
    older = copies.cache / "transcripts" / "ab" / owned.name
    older.parent.mkdir()
    owned.rename(older)
    other = copies.cache / "transcripts" / "ab" / "other.json"
    other.write_text("{}")
    copies.erase({"gone"}, set())
    assert not older.exists()
    assert other.exists()


def test_sound_is_kept_in_copies_no_longer_than_elsewhere(copies: Copies) -> None:
    assert copies.sweep(30) == 0
    old = time.time() - 31 * 86_400
    for path in (*copies.runs.rglob("audio/*gone*"), *copies.cache.rglob("audio/*gone*")):
        os.utime(path, (old, old))
    assert copies.sweep(30) > 8
    assert traces(copies, "feedback-gone") == []
    assert traces(copies, "feedback-kept")


def test_sound_from_an_object_store_is_as_old_as_its_answer(copies: Copies) -> None:
    """Its copy was written when it was exported; `sources.json` says when it was sent."""
    path = copies.runs / "trigger-000001" / "feedback" / "sources.json"
    sources = json.loads(path.read_text())
    then = datetime.now(UTC) - timedelta(days=31)
    sources["feedback-gone"]["time"] = then.isoformat()
    sources["feedback-kept"]["time"] = datetime.now(UTC).isoformat()
    path.write_text(json.dumps(sources))
    assert copies.sweep(30) > 8
    assert traces(copies, "feedback-gone") == []
    assert traces(copies, "feedback-kept")


def test_files_that_are_not_ours_stop_nothing_and_what_fails_is_tried_again(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = {
        copies.runs / "manifest.jsonl": '{"audio_filepath": "a.wav"}\n',
        copies.runs / "sources.json": "[1]",
    }
    for path, content in foreign.items():
        path.write_text(content)
    examples = copies.runs / "trigger-000001" / "step" / "examples"
    real = Path.resolve

    def resolve(self: Path, strict: bool = False) -> Path:
        if self == examples:
            raise OSError(5, "Input/output error", str(self))
        return real(self, strict)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "resolve", resolve)
        with pytest.raises(Unavailable, match="examples"):
            copies.erase({"gone"}, set())
    left = {path.name for path in traces(copies, "feedback-gone")}
    assert left == {"examples", "feedback.erased"}
    copies.finish()
    assert traces(copies, "feedback-gone") == []
    assert {path: path.read_text() for path in foreign} == foreign


def test_what_a_retraining_still_writes_is_erased_at_its_end(copies: Copies) -> None:
    """Another process erases the recording while this one works on it."""
    joined = next((copies.cache / "corpora").glob("*/*"))
    recordings = read_manifest(joined)
    erase = (
        "import sys; from pathlib import Path; from components.traffic import Copies;"
        f"Copies(Path({str(copies.runs)!r}), Path({str(copies.cache)!r})).erase({{'gone'}}, set())"
    )
    with copies.in_use(), copies.in_use():  # two retrainings
        subprocess.run([sys.executable, "-c", erase], check=True)
        assert not list(joined.rglob("*feedback-gone*"))
        transcribe(copies, copies.runs / "late" / "transcripts", recordings, lambda r: [r.name, ""])
        assert traces(copies, "feedback-gone")
    assert traces(copies, "feedback-gone") == []
    assert sorted(path.name for path in copies.cache.glob("feedback.*")) == ["feedback.lock"]
