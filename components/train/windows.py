"""What a training step is made of: windows of turns, read when they are needed.

A corpus' sound does not fit in memory, nor do a large corpus' states. So what orders and weighs
windows (`Columns`) is known of all of them, and the rest of each is read while its batch is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.conversation import SAMPLE_RATE
from components.fusion.windows import count_windows, cut_clip
from components.train.data import Row, Sound
from components.train.shards import EncodedWindow, States, sizes_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Item = dict[str, Any]
"""One window.

Its `acoustic` states [T, d_a] or sound [T], its `text` states [L, d_t] or token ids [L], its
`label`, the index of its `turn` and its `weight` in it.
"""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of n windows without reading them, each [n].

    Attributes:
        labels: of their turns.
        turns: the index of each window's turn.
        weights: each window's share of its turn.
        lengths: of their sound or acoustic states; of sound as the turn's times say it.
        sound: they are sound and words, not states.
    """

    labels: np.ndarray
    turns: np.ndarray
    weights: np.ndarray
    lengths: np.ndarray
    sound: bool


def columns_of(items: Sequence[Item]) -> Columns:
    """The columns of windows; of those that do not know them, each is looked at."""
    known = getattr(items, "columns", None)
    if isinstance(known, Columns):
        return known
    return Columns(
        np.array([item["label"] for item in items]),
        np.array([item["turn"] for item in items]),
        np.array([item["weight"] for item in items]),
        np.array([len(item["acoustic"]) for item in items]),
        sound=items[0]["acoustic"].ndim == 1,
    )


class SoundWindows(Sequence[Item]):
    """The windows of turns as sound and token ids, the shortest first.

    Nothing is read before a window is asked for; so how many a turn has, and how long they are,
    follows from its times. A turn that its recording cuts short has shorter windows.

    Args:
        rows: the turns.
        limits: the most samples and tokens that the model takes.
    """

    def __init__(
        self, rows: Sequence[Row], sound: Sound, tokenizer: "Tokenizer", limits: tuple[int, int]
    ) -> None:
        self.rows, self.sound, self.tokenizer, self.limits = rows, sound, tokenizer, limits
        planned: list[tuple[int, int, int, int, float]] = []
        for number, row in enumerate(rows):
            length = max(round(row.end * SAMPLE_RATE) - round(row.start * SAMPLE_RATE), 1)
            count = count_windows(length, row.text, tokenizer, *limits)
            bounds = [round(i * length / count) for i in range(count + 1)]
            for piece in range(count):
                size = bounds[piece + 1] - bounds[piece]
                planned.append((max(size, 1), number, piece, count, size / length))
        planned.sort(key=lambda window: window[0])
        lengths, turns, pieces, counts, weights = zip(*planned, strict=True)
        self._pieces, self._counts = np.array(pieces, np.int32), np.array(counts, np.int32)
        of_turns = np.array(turns)
        labels = np.array([row.label for row in rows])[of_turns]
        self.columns = Columns(labels, of_turns, np.array(weights), np.array(lengths), sound=True)

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, index: Any) -> Any:
        turn = int(self.columns.turns[index])
        audio, text = self.sound.clip(self.rows[turn])
        windows = cut_clip((audio, text), self.tokenizer, int(self._counts[index]), clip=turn)
        window = windows[int(self._pieces[index])]
        return {
            "acoustic": window.audio[: self.limits[0]],  # resampling may round up
            "text": np.array(window.input_ids),
            "label": self.rows[turn].label,
            "turn": turn,
            "weight": float(self.columns.weights[index]),
        }


class StateWindows(Sequence[Item]):
    """The windows of turns as encoders' states, which stay where they lie until they are needed.

    Args:
        labels: of the turns.
        encoded: each turn's windows.
    """

    def __init__(
        self, labels: Sequence[int], encoded: "States | Sequence[Sequence[EncodedWindow]]"
    ) -> None:
        self._encoded = encoded
        turns, self._places, weights, lengths = sizes_of(encoded)
        self.columns = Columns(np.array(labels)[turns], turns, weights, lengths, sound=False)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        turn = int(self.columns.turns[index])
        window = self._encoded[turn][self._places[index]]
        return {
            "acoustic": window.acoustic,
            "text": window.text,
            "label": int(self.columns.labels[index]),
            "turn": turn,
            "weight": window.weight,
        }
