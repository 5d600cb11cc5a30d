"""Turns as one HTML page: a time line to see, and the words to read."""

from collections.abc import Sequence
from pathlib import Path

from components.conversation import Turn, labels_of
from components.reporting.page import render

TEMPLATE = Path(__file__).with_name("turns.html.j2")


def turns_page(turns: Sequence[Turn], names: Sequence[str] = ()) -> str:
    """Turns of one recording or more as a self-contained HTML page.

    Each speaker is a row, each turn a bar in the colour of its emotion.

    Args:
        turns: of all recordings.
        names: the recordings, those in which nobody speaks included; default: those of the turns.
    """
    # Anybody may send turns to be shown: each is looked at once, however many speakers there are.
    of_recordings: dict[str, list[Turn]] = {name: [] for name in names}
    for turn in turns:
        of_recordings.setdefault(turn.session_id, []).append(turn)
    recordings = []
    for name, own in of_recordings.items():
        of_speakers: dict[str, list[Turn]] = {}
        for turn in own:
            of_speakers.setdefault(turn.speaker, []).append(turn)
        rows = [
            {"speaker": speaker, "turns": spoken} for speaker, spoken in sorted(of_speakers.items())
        ]
        end = max((turn.end for turn in own), default=0.0) or 1.0
        recordings.append({"name": name, "turns": own, "end": end, "rows": rows})
    return render(
        TEMPLATE,
        labels_of(turns),
        recordings=recordings,
        x=lambda time, end: round(100 + 900 * time / end, 2),
        width=lambda turn, end: round(max(900 * turn.duration / end, 1.0), 2),
    )
