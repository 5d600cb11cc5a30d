"""A corpus with feedback beside it: one corpus, of which the feedback is only ever trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import Cache, InputError
from components.config import ProtocolSettings
from components.conversation import FEEDBACK, Recording, Utterance, write_manifest
from components.corpus import check_corpus, join_feedback, read_corpus
from components.corpus.component import join_feedback as step
from components.traffic import keep_only


def corpus(folder: Path, name: str, fold: str) -> Path:
    """A corpus of one recording of two seconds."""
    folder.mkdir()
    audio = folder / f"{name}.flac"
    soundfile.write(audio, np.zeros(32_000), 16_000)
    spoken = Utterance(f"{name}_0", name, 0.0, 1.0, f"{name}_A", None, "", "sad")
    write_manifest(folder / "corpus", [Recording(name, audio, fold, None, (spoken,))])
    return folder / "corpus"


def test_feedback_joins_the_training_part_and_no_other(tmp_path: Path, demo_corpus: Path) -> None:
    came_back = corpus(tmp_path / "feedback", "feedback-1", FEEDBACK)
    joined = join_feedback(demo_corpus, came_back, Cache(tmp_path / "cache"))
    recordings = read_corpus(joined)
    assert len(recordings) == len(read_corpus(demo_corpus)) + 1
    assert check_corpus(joined).synthetic
    assert all(recording.audio.is_relative_to(joined) for recording in recordings)
    protocols = (
        ProtocolSettings(test_fold="Session5", validation_fold="Session4"),
        *(
            ProtocolSettings(test_share=share, validation_share=0.98 - share)
            for share in (0.01, 0.5, 0.97)
        ),
    )
    for protocol in protocols:
        parts = {r.name: protocol.part(r.name, r.fold) for r in recordings}
        assert parts["feedback-1"] == "training"
        assert {"test", "validation"} & {*parts.values()}
    again = join_feedback(demo_corpus, came_back, Cache(tmp_path / "cache"))
    assert again == joined


def test_what_the_log_no_longer_holds_leaves_the_cache_of_the_steps(
    tmp_path: Path, demo_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step sees the volume that the service does not see."""
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "volume"))
    cache = Cache(tmp_path / "volume" / "cache")
    owners = (f"{FEEDBACK}-gone", "")
    gone, other = (cache.path("transcripts", "x", suffix=".json", owner=o) for o in owners)
    for path in (gone, other):
        with cache.making(path) as temporary:
            temporary.write_text("words")
    for feedback, there in (("", True), ("log", False)):
        step.python_func(str(demo_corpus), "digest", feedback)
        assert gone.exists() == there
    assert other.exists()


def test_a_recording_that_is_still_chosen_keeps_its_finished_work(tmp_path: Path) -> None:
    for name in ("kept", "gone"):
        (tmp_path / "states" / f"of-{FEEDBACK}-{name}").mkdir(parents=True)
    assert keep_only(tmp_path, [f"{FEEDBACK}-kept"]) == 1
    assert [path.name for path in tmp_path.glob("*/*")] == [f"of-{FEEDBACK}-kept"]


def test_what_is_no_feedback_is_refused(tmp_path: Path) -> None:
    own = corpus(tmp_path / "own", "call-1", "week-1")
    stray = corpus(tmp_path / "stray", "call-2", "week-2")
    with pytest.raises(InputError, match="call-2 is of the fold week-2, not feedback"):
        join_feedback(own, stray, Cache(tmp_path / "cache"))
    same = corpus(tmp_path / "same", "call-1", FEEDBACK)
    with pytest.raises(InputError, match="call-1 is in "):
        join_feedback(own, same, Cache(tmp_path / "cache"))
    (same / "manifest.jsonl").write_text(json.dumps({"recording": "x"}))
    with pytest.raises(InputError, match="line 1: lacks"):
        join_feedback(own, same, Cache(tmp_path / "cache"))
    assert not (tmp_path / "cache" / "corpora").exists()
