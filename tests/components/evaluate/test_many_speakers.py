"""tcpWER takes no more than 20 speakers; an evaluation goes on without it, and says so."""

from pathlib import Path

import pytest

from components.conversation import DEFAULT_LABELS, Recording, Turn, Utterance
from components.evaluate.measure import measure


@pytest.mark.parametrize(("heard", "is_counted"), [(20, True), (21, False)])
def test_a_recording_in_which_many_speakers_are_heard_is_measured(
    heard: int, is_counted: bool
) -> None:
    said = Utterance("call-0", "call", 0.0, 1.0, "A", None, "so it is", "sad")
    recordings = [
        Recording("call", Path("call.flac"), "one", None, (said,)),
        Recording("other", Path("other.flac"), "one", None, ()),
    ]
    turns = [Turn("call", 0.0, 1.0, "0", "so it is").answered([0.1, 0.7, 0.2, 0.0], DEFAULT_LABELS)]
    turns += [Turn("call", 1.0 + n, 2.0 + n, str(n), "hm") for n in range(1, heard)]
    metrics = measure(recordings, turns, 0).metrics
    words = metrics["words"]
    assert words["wer"]["errors"] == heard - 1
    assert metrics["scores"]["collar0"]["cpwer"]["errors"] == heard - 1
    assert (words["tcpwer"] is not None) == is_counted
    note = "tcpWER is left out: recording call has 21 speakers; tcpWER takes at most 20"
    assert words.get("note", "") == ("" if is_counted else note)
