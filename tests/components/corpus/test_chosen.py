"""Feedback that joins a corpus in a pipeline: chosen by one step, read by another one."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError, Url
from components.config import Settings
from components.conversation import FEEDBACK, Turn, read_manifest
from components.corpus import (
    LOG,
    choose_feedback,
    joined,
    look_at_feedback,
    read_corpus,
    training_state,
)
from components.corpus.component import join_feedback
from components.traffic import (
    Correction,
    FeedbackStore,
    LoggedRequest,
    LoggedTurn,
    LogWriter,
    TurnLog,
    audio_path,
    export_feedback,
    keep_audio,
)
from tests.components.base.objects import object_store
from tests.components.register.stores import BUCKET

PROBABILITIES = {"angry": 0.1, "happy": 0.1, "neutral": 0.7, "sad": 0.1}
MEASURES = {"duration": 1.0, "words_per_second": 2.0, "loudness_db": -20.0, "snr_db": 30.0}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose log holds three answers of one turn, with their sound."""
    settings, now = Settings(home=tmp_path / "home"), datetime.now(UTC)
    turn = Turn("call", 0.0, 1.0, "A", "", "neutral", 0.7, PROBABILITIES)
    logged = (LoggedTurn(turn, np.zeros(4, "f4"), MEASURES),)
    log = TurnLog(settings.log, settings.feedback_url)
    with closing(log), closing(LogWriter(log)) as writer:
        for number in range(3):
            name, request_id = f"{number:032x}", f"r{number}"
            writer.write(
                LoggedRequest(request_id, name, now, "/v1/analyze", 1, "production", True, logged)
            )
            keep_audio(audio_path(settings.log, name, request_id, now), np.zeros(32_000))
    return settings


def say(settings: Settings, number: int, emotion: str = "sad") -> None:
    with closing(FeedbackStore(settings.feedback_url)) as store:
        store.record(Correction(f"r{number}", 0, emotion, "reviewer"))


def test_what_was_chosen_is_read_whatever_came_since(settings: Settings) -> None:
    assert choose_feedback("", settings).digest == ""
    none = choose_feedback(LOG, settings)
    assert (none.digest, none.why_none) == ("", "there is no feedback yet")
    say(settings, 0)
    first = choose_feedback(LOG, settings)
    say(settings, 1)
    say(settings, 0, "angry")  # another word on the same turn
    later = choose_feedback(LOG, settings)
    assert later.digest != first.digest
    assert [r.name for r in later.recordings] == ["feedback-r0", "feedback-r1"]
    assert choose_feedback(LOG, settings, first.name) == first
    assert choose_feedback(LOG, settings, later.name) == later
    with closing(TurnLog(settings.log, settings.feedback_url)) as log:
        log.erase([f"{0:032x}"])
    with pytest.raises(InputError, match="it was dropped, reviewed or erased, or its sound"):
        choose_feedback(LOG, settings, later.name)


def test_the_rules_of_trust_hold(settings: Settings, demo_corpus: Path) -> None:
    for number in range(3):
        say(settings, number)
    chosen = choose_feedback(LOG, settings)
    labelled = read_corpus(demo_corpus)
    both = joined(labelled, chosen, settings)
    assert both[: len(labelled)] == labelled
    assert {r.fold for r in both[len(labelled) :]} == {FEEDBACK}
    small = settings.model_copy(update={"feedback_share": 0.005})
    assert choose_feedback(LOG, small).digest != chosen.digest  # other rules, another choice
    utterances = sum(len(r.utterances) for r in labelled)
    few = joined(labelled, choose_feedback(LOG, small), small)[len(labelled) :]
    assert 0 < sum(len(r.utterances) for r in few) <= 0.005 * (utterances + 3)
    # All of them contradict the model: they wait for a person, once there are enough to tell.
    with pytest.raises(InputError, match="was changed while the run went on"):
        choose_feedback(LOG, small, chosen.name)


def test_an_export_joins_as_the_log_does(settings: Settings, tmp_path: Path) -> None:
    say(settings, 2)
    export_feedback(FeedbackStore.read(settings.feedback_url), settings.log, tmp_path / "out")
    chosen = choose_feedback(str(tmp_path / "out"), settings)
    (recording,) = chosen.recordings
    assert recording == read_manifest(tmp_path / "out")[0]
    assert choose_feedback(str(tmp_path / "out"), settings, chosen.name) == chosen
    looked = look_at_feedback(str(tmp_path / "out"), settings)
    assert (looked.state, looked.recordings) == (chosen.state, ())
    reference = tmp_path / "out" / "reference" / "feedback-r2.json"
    reference.write_text(reference.read_text().replace('"sad"', '"angry"'))
    with pytest.raises(InputError, match="was changed while the run went on"):
        choose_feedback(str(tmp_path / "out"), settings, chosen.name)
    assert look_at_feedback(str(tmp_path / "out"), settings).state != chosen.state


def test_a_run_says_of_an_export_what_a_look_without_its_sound_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(settings, 2)
    export_feedback(FeedbackStore.read(settings.feedback_url), settings.log, tmp_path / "out")
    monkeypatch.setenv("MOODLINE_HOME", str(settings.home))
    with object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        export, corpus = store.upload(tmp_path / "out", "w48"), Url(BUCKET, "calls")
        (corpus / "manifest.jsonl").put_bytes(b"{}")
        said = join_feedback.python_func(folder=str(corpus), digest="d", feedback=export)
        store.door.asked.clear()
        looked = training_state(corpus, look_at_feedback(export, settings).state)
        assert not [line for line in store.door.asked if "/w48/" in line]
    assert said.chosen and said.state == looked


def test_a_state_changes_with_any_file_and_with_the_feedback(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "manifest.jsonl").write_text("{}")
    (tmp_path / "audio" / "a.wav").write_bytes(b"0123")
    states = [training_state(tmp_path, ""), training_state(tmp_path, "chosen")]
    (tmp_path / "audio" / "a.wav").write_bytes(b"01234")
    states.append(training_state(tmp_path, ""))
    (tmp_path / "audio" / "b.wav").write_bytes(b"")
    states.append(training_state(tmp_path / "manifest.jsonl", ""))
    assert len(set(states)) == 4
    assert training_state(tmp_path, "") == states[-1]
