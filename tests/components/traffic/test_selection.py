"""What a run chose to train on is found again, whatever people said since."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from components.base import InputError
from components.traffic import Feedback, audio_path, select_feedback, selected_before
from components.traffic.review import MIN_LABELS
from tests.components.traffic.conftest import NOW

LIMIT = 0.8


def label(second: int, origin: str, *, right: bool) -> Feedback:
    """A word on an answer of its own, given in this second."""
    emotion, given = "sad" if right else "angry", NOW + timedelta(seconds=second)
    return Feedback(
        f"{origin}-{second}", 0, 1, emotion, "reviewer", "kim", given, "one", NOW,
        3, "sad", 0.9, "A", 0.0, 1.0, origin,
    )  # fmt: skip


def with_sound(log: Path, entries: list[Feedback]) -> list[Feedback]:
    for entry in entries:
        path = audio_path(log, entry.recording, entry.request_id, entry.time)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return entries


def test_a_choice_is_found_again_however_much_was_said_since(tmp_path: Path) -> None:
    entries = with_sound(tmp_path, [label(n, "web", right=n % 2 == 0) for n in range(2100)])
    first = select_feedback(entries[:100], tmp_path, limit=LIMIT)
    assert first.turns == 100 and first.until == entries[99].given
    assert selected_before(first.digest, first.until, entries, tmp_path, limit=LIMIT) == first
    # The latest word on a turn stands: the earlier one does again.
    changed = replace(entries[7], number=2, emotion="happy", given=entries[-1].given)
    after = [*entries, changed]
    assert selected_before(first.digest, first.until, after, tmp_path, limit=LIMIT) == first
    with pytest.raises(InputError, match="that this run began with is not there any more"):
        selected_before(first.digest, first.until, entries[1:], tmp_path, limit=LIMIT)


def test_whose_labels_were_held_is_found_out(tmp_path: Path) -> None:
    """By what came after the last label that was chosen, and is no part of the choice."""
    bad = [label(n, "bad", right=False) for n in range(MIN_LABELS)]
    good = label(10, "good", right=True)
    free = [label(100 + n, "bad", right=True) for n in range(MIN_LABELS)]
    entries = with_sound(tmp_path, [*bad, good, *free])
    held = select_feedback(entries[:21], tmp_path, limit=LIMIT)
    assert (held.turns, held.held, held.until) == (1, MIN_LABELS, good.given)
    every = select_feedback(entries, tmp_path, limit=LIMIT)
    assert (every.turns, every.held) == (41, 0)
    assert selected_before(held.digest, held.until, entries, tmp_path, limit=LIMIT) == held
