"""How conversations go: shares of a reference, by which the plan was chosen.

    python -m components.corpus.talks.make.shares REFERENCE.json…

prints those of SegLST files taken together.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from components.conversation import Turn, read_turns

SHORT = 3
"""A backchannel has at most so many words, and lies inside an utterance of another."""

_END = re.compile(r"[.?!]+(?=\s|$)")


def shares(recordings: Iterable[Sequence[Turn]]) -> dict[str, float]:
    """The shares of recordings taken together, by name.

    The floor's utterances are all but the backchannels. A change is from one of them to the next by
    start where the speaker is another. Its gap goes from the latest end so far to the next start. A
    sentence ends with a full stop, a question mark or an exclamation mark; what comes after the
    last of them is one more, unfinished.
    """
    speech = overlapped = words = short_words = 0.0
    count, sentences, unfinished = 0, [], []
    gaps: list[float] = []
    for utterances in recordings:
        ordered = sorted(utterances, key=lambda u: (u.start, u.end))
        one, several = _covered(ordered)
        speech, overlapped = speech + one, overlapped + several
        floor = [u for u in ordered if not is_backchannel(u, ordered)]
        count += len(ordered)
        words += sum(len(u.words.split()) for u in ordered)
        short_words += sum(len(u.words.split()) for u in ordered if u not in floor)
        for utterance in floor:
            ends = len(_END.findall(utterance.words))
            unfinished.append(not utterance.words.rstrip().endswith((".", "?", "!")))
            sentences.append(ends + unfinished[-1])
        latest = 0.0
        for before, after in pairwise(floor):
            latest = max(latest, before.end)
            if before.speaker != after.speaker:
                gaps.append(after.start - latest)
    sizes, between = np.array(sentences), np.array(gaps)
    return {
        "speech that overlaps": overlapped / speech,
        "backchannels among utterances": 1 - sizes.size / count,
        "backchannels' words": short_words / words,
        "floor: one sentence": float((sizes == 1).mean()),
        "floor: two": float((sizes == 2).mean()),
        "floor: three or four": float(((sizes == 3) | (sizes == 4)).mean()),
        "floor: five and more": float((sizes > 4).mean()),
        "floor: sentences, mean": float(sizes.mean()),
        "floor: unfinished": float(np.mean(unfinished)),
        "changes begun too early": float((between < 0).mean()),
        "overlap at these, median": float(-np.median(between[between < 0])),
        "gap at the others, median": float(np.median(between[between >= 0])),
    }


def is_backchannel(utterance: Turn, others: Sequence[Turn]) -> bool:
    """Whether it has a few words and lies inside an utterance of another."""
    return len(utterance.words.split()) <= SHORT and any(
        other.speaker != utterance.speaker
        and other.start <= utterance.start
        and other.end >= utterance.end
        for other in others
    )


def _covered(utterances: Sequence[Turn]) -> tuple[float, float]:
    """Seconds in which at least one utterance runs, and in which at least two do."""
    edges = sorted([(u.start, 1) for u in utterances] + [(u.end, -1) for u in utterances])
    one = several = running = 0.0
    for (time, step), (following, _) in pairwise(edges):
        running += step
        one += (running > 0) * (following - time)
        several += (running > 1) * (following - time)
    return one, several


if __name__ == "__main__":
    for name, value in shares(read_turns(Path(path)) for path in sys.argv[1:]).items():
        sys.stdout.write(f"{name:<32}{value:8.4f}\n")
