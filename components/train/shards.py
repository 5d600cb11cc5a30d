"""Frozen encoders' states on disk: a few memory-mapped files, each of many turns.

A shard is a safetensors file. It holds the windows of up to `ROWS` turns one after the other:

    keys            uint8 [turns, 16]      what each turn's states were made from
    first           int64 [turns + 1]      where its windows begin and end
    weights         float64 [windows]
    probe           float32 [windows, f]
    acoustic        float32 [frames of all windows, d_a]
    acoustic_first  int64 [windows + 1]    where each window's frames begin and end
    text, text_first                       likewise

It is named by the digest of its content, and is checked by it before it is first mapped, and again
once its size or time of change is another. What is damaged is deleted, and its turns are encoded
again.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from components.base import Cache, DiskFull, Unavailable, file_digest, is_disk_full

logger = logging.getLogger(__name__)

ROWS = 2_048
"""Turns of a shard, at most: 100,000 are in at most 64 files."""

BYTES = 160 << 20
"""Of a shard's states, about: they are in memory until it is written."""

SMALL = 8
"""Shards that are not full, as a killed run leaves them: beyond so many they are joined."""

GONE = (
    "was deleted while it is trained on, by another training or an erasure; start again: it goes on"
    " from its last checkpoint, and encodes only what is missing"
)

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class EncodedWindow:
    """Both encoders' states of one window.

    Attributes:
        acoustic: float32 [frames, d_a]; for `attend: pooled` pooled over them, [1, d_a]. With
            `use_weighted_layer_sum` d_a is that of all layers: they are pooled first and mixed
            in the head, so that what is kept does not grow with the clip
            (`components.fusion.pooling`).
        text: float32 [tokens, d_t], or [1, d_t], likewise.
        weight: the window's share of its turn.
        probe: float32 [f], the features of the linear probe.
    """

    acoustic: np.ndarray
    text: np.ndarray
    weight: float
    probe: np.ndarray

    @property
    def size(self) -> int:
        """In bytes."""
        return self.acoustic.nbytes + self.text.nbytes + self.probe.nbytes


class Shard:
    """One file of states, mapped when it is first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(str(path), "np") as file:
            self.keys: np.ndarray = file.get_tensor("keys")
            self._first, self.weights, self._acoustic, self._text = (
                file.get_tensor(name)
                for name in ("first", "weights", "acoustic_first", "text_first")
            )

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def _states(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            # torch maps a file; numpy's form of the library would copy all of it.
            with safe_open(str(self.path), "pt") as file:
                names = ("acoustic", "text", "probe")
                acoustic, text, probe = (file.get_tensor(name).numpy() for name in names)
        except (OSError, SafetensorError):  # another run joined it with others; or an erasure
            raise Unavailable(f"{self.path}: {GONE}") from None
        return acoustic, text, probe

    def windows(self, row: int) -> list[EncodedWindow]:
        """A turn's windows, as views of the file.

        Raises:
            Unavailable: the file was deleted since it was found.
        """
        acoustic, text, probe = self._states
        return [
            EncodedWindow(
                acoustic[self._acoustic[w] : self._acoustic[w + 1]],
                text[self._text[w] : self._text[w + 1]],
                float(self.weights[w]),
                probe[w],
            )
            for w in range(self._first[row], self._first[row + 1])
        ]

    def sizes(self, row: int) -> list[tuple[float, int]]:
        """The weight and the frames of each of a turn's windows."""
        windows = range(self._first[row], self._first[row + 1])
        return [
            (float(self.weights[w]), int(self._acoustic[w + 1] - self._acoustic[w]))
            for w in windows
        ]

    def unmap(self) -> None:
        """Give back the memory of what was read, once no window of it is used."""
        self.__dict__.pop("_states", None)


class Shards:
    """All that is kept of an encoder's states, of one owner.

    Args:
        cache: where they lie.
        encoder: the digest of all that makes states of a turn.
        owner: as of `Cache.path`.
    """

    def __init__(self, cache: Cache, encoder: str, owner: str = "") -> None:
        self.cache = cache
        self.base = cache.path("states", encoder, owner=owner)
        self._open: dict[Path, Shard] = {}

    def read(self) -> list[Shard]:
        """Every whole shard; one that is damaged is deleted, and a line says so."""
        shards = []
        for path in self.cache.parts(self.base):
            if path not in self._open:
                try:
                    if file_digest(path, self.cache)[:_DIGITS] != path.stem.rpartition("-")[2]:
                        raise ValueError
                    self._open[path] = Shard(path)
                except FileNotFoundError:  # another run has joined it with others
                    continue
                except (OSError, ValueError, KeyError, SafetensorError):
                    logger.warning(
                        "%s: is damaged, or was cut short; its turns are encoded again", path
                    )
                    self.cache.drop(path)
                    continue
            shards.append(self._open[path])
        return shards

    def write(self, rows: Sequence[tuple[bytes, Sequence[EncodedWindow]]]) -> None:
        """Keep turns, each its key and its windows, in a new shard, whole or not at all.

        Raises:
            DiskFull: there is no room for it.
            Unavailable: the store does not take it.
        """
        windows = [window for _, of_row in rows for window in of_row]
        acoustic, text = [w.acoustic for w in windows], [w.text for w in windows]
        content = save(
            {
                "keys": np.frombuffer(b"".join(key for key, _ in rows), np.uint8).reshape(-1, 16),
                "first": _bounds(of_row for _, of_row in rows),
                "weights": np.array([window.weight for window in windows]),
                "probe": np.stack([window.probe for window in windows]),
                "acoustic": np.concatenate(acoustic),
                "acoustic_first": _bounds(acoustic),
                "text": np.concatenate(text),
                "text_first": _bounds(text),
            }
        )
        digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
        path = self.base.with_name(f"{self.base.name}-{digest}.safetensors")
        try:
            with self.cache.making(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise DiskFull(
                f"{path.parent}: has no room for the encoders' states"
                f" ({len(content) / 1e6:,.0f} MB of {len(rows):,} turns): free some, or let"
                " MOODLINE_CACHE name another disk; what was encoded before is kept"
            ) from None

    def join(self) -> None:
        """Make few shards of the many that are not full."""
        small = [s for s in self.read() if len(s) <= ROWS // 2 and _size(s) <= BYTES // 2]
        if len(small) <= SMALL:
            return
        group: list[Shard] = []
        for shard in [*small, None]:
            if group and (
                shard is None
                or sum(map(len, group)) + len(shard) > ROWS
                or sum(map(_size, group)) + _size(shard) > BYTES
            ):
                if len(group) > 1:
                    rows = [(bytes(s.keys[i]), s.windows(i)) for s in group for i in range(len(s))]
                    self.write(rows)
                    del rows
                    for old in group:
                        old.unmap()
                        self.cache.drop(old.path)
                group = []
            group += [shard] if shard else []


class States(Sequence[list[EncodedWindow]]):
    """The windows of turns, wherever they lie. To go through all in order holds one shard's memory.

    Args:
        places: each turn's shard and its row there.
    """

    def __init__(self, shards: Sequence[Shard], places: np.ndarray) -> None:
        self._shards, self._places = shards, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """A turn's windows; of a slice, the turns in it."""
        if isinstance(index, slice):
            return States(self._shards, self._places[index])
        shard, row = self._places[index]
        return self._shards[shard].windows(row)

    def __iter__(self) -> Iterator[list[EncodedWindow]]:
        before = None
        for shard, row in self._places.tolist():
            if before not in (None, shard):
                self._shards[before].unmap()
            before = shard
            yield self._shards[shard].windows(row)

    def sizes(self, turn: int) -> list[tuple[float, int]]:
        """The weight and the frames of each of a turn's windows."""
        shard, row = self._places[turn]
        return self._shards[shard].sizes(row)


def sizes_of(
    encoded: Sequence[Sequence[EncodedWindow]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each window of some turns, in order: its turn, its place in it, its weight, its frames."""
    found = [
        (turn, place, weight, frames)
        for turn in range(len(encoded))
        for place, (weight, frames) in enumerate(
            encoded.sizes(turn)
            if isinstance(encoded, States)
            else [(window.weight, len(window.acoustic)) for window in encoded[turn]]
        )
    ]
    turns, places, weights, frames = zip(*found, strict=True)
    return np.array(turns), np.array(places), np.array(weights), np.array(frames)


def _bounds(parts: Iterable[Sized]) -> np.ndarray:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


def _size(shard: Shard) -> int:
    return shard.path.stat().st_size
