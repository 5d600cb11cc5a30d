"""Frozen encoders: each example's states are computed once, kept in shards, and trained on."""

import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from accelerate.utils import wait_for_everyone
from tokenizers import Tokenizer

from components.base import Cache, Unavailable, allowed_cores, json_digest
from components.conversation import FEEDBACK
from components.fusion import clip_windows
from components.fusion.model import MoodlineModel
from components.train.augment import Heard
from components.train.data import Row, Sound
from components.train.processes import rank, world_size
from components.train.shards import BYTES, GONE, ROWS, EncodedWindow, Shards, States

STATES = 3
"""The version of what is kept of a row. (2: with the linear probe's features. 3: in shards.)"""

FLUSH_SECONDS = 60.0
"""Encoding that a killed run may lose."""

AHEAD = 8
"""Clips of each core that are begun before they can be kept: writing a shard, to a store perhaps,
takes longer than encoding a clip, and what waits for it is in memory."""

BLOCK = 32 << 20
"""Bytes of states that are summed up at once, about."""


def encoder_digest(model: MoodlineModel) -> str:
    """A digest of everything that decides the encoders' states: weights and configuration."""
    whole = hashlib.sha256()
    for part in (model.acoustic, model.text):
        for name, value in sorted(part.state_dict().items()):
            whole.update(name.encode())
            whole.update(value.cpu().contiguous().numpy().tobytes())
    config = model.config
    limits = (config.max_samples, config.max_tokens, config.normalize_audio)
    return json_digest([whole.hexdigest(), config.acoustic, config.text, limits])


def encode_rows(
    model: MoodlineModel,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    *,
    sound: Sound,
    cache: Cache,
    report: Callable[[int], None],
    heard: Heard | None = None,
    recorded: States | None = None,
) -> States:
    """The windows of each row with their states, computed or found in the cache.

    Clips go through the encoders one at a time, so that cached states are the same to the last
    digit whatever else was missing. Several processes compute a share each. What is done is
    written every minute, and memory holds no more than that.

    Args:
        model: its encoders are used; its head is not.
        report: called with the number of rows done.
        heard: the conditions in which the rows are heard; None: as they were recorded.
        recorded: the rows' states as they were recorded, in order, for `heard`: what it leaves as
            it was, words always, is taken from there, the same to the last digit.

    Raises:
        DiskFull: there is no room for the states.
        Unavailable: what was kept is deleted meanwhile.
    """
    config = model.config
    form = (config.attend, config.pooling, config.use_weighted_layer_sum)
    encoder = json_digest([STATES, encoder_digest(model), *form, heard.key if heard else None])
    keys = [
        bytes.fromhex(json_digest([sound.digest(row), row.start, row.end, row.text]))
        for row in rows
    ]
    # What came back from traffic must be found again when it is erased.
    owners = [row.recording if row.fold == FEEDBACK else "" for row in rows]
    kept = {owner: Shards(cache, encoder, owner) for owner in dict.fromkeys(owners)}

    def missing() -> list[int]:
        known = {
            (owner, bytes(key)) for owner in kept for s in kept[owner].read() for key in s.keys
        }
        return [i for i in range(len(rows)) if (owners[i], keys[i]) not in known]

    def compute(todo: Sequence[int], share: int) -> None:
        groups: dict[str, list[tuple[bytes, Sequence[EncodedWindow]]]] = defaultdict(list)
        sizes: dict[str, int] = defaultdict(int)
        written = time.monotonic()
        # One core for each clip is faster than all cores for one: clips are short.
        cores = max(allowed_cores() // processes, 1)
        pool = ThreadPoolExecutor(cores if model.device.type == "cpu" else 1)
        encoded = _in_order(
            pool,
            lambda i: _encode(
                model, tokenizer, rows[i], sound, heard, None if recorded is None else recorded[i]
            ),
            todo,
            AHEAD * cores,
        )
        try:
            for done, (i, windows) in enumerate(encoded, start=1):
                owner = owners[i]
                groups[owner].append((keys[i], windows))
                sizes[owner] += sum(window.size for window in windows)
                full = len(groups[owner]) == ROWS or sizes[owner] >= BYTES
                late = time.monotonic() - written > FLUSH_SECONDS
                for which in [*groups] if late else [owner] if full else []:
                    kept[which].write(groups.pop(which))
                    del sizes[which]
                    written = time.monotonic()
                report(len(rows) - len(todo) * share + done * share)
        finally:
            pool.shutdown(cancel_futures=True)
            # Also of a run that is stopped: it goes on from there.
            for owner, group in groups.items():
                kept[owner].write(group)

    processes = world_size()
    with one_thread():
        todo = missing()
        wait_for_everyone()  # nobody writes while another one looks
        compute(todo[rank() :: processes], processes)
        wait_for_everyone()
        if processes > 1:  # nodes without a folder in common
            compute(missing(), 1)
    if rank() == 0:
        for shards in kept.values():
            shards.join()
    wait_for_everyone()
    report(len(rows))
    return _found(kept, owners, keys)


def _found(kept: dict[str, Shards], owners: Sequence[str], keys: Sequence[bytes]) -> States:
    shards = [(owner, shard) for owner in kept for shard in kept[owner].read()]
    place = {
        (owner, bytes(key)): (number, row)
        for number, (owner, shard) in enumerate(shards)
        for row, key in enumerate(shard.keys)
    }
    try:
        places = np.array([place[pair] for pair in zip(owners, keys, strict=True)])
    except KeyError:
        base = next(iter(kept.values())).base
        raise Unavailable(f"{base.parent}: the encoders' states: one {GONE}") from None
    return States([shard for _, shard in shards], places)


def _in_order(
    pool: ThreadPoolExecutor,
    encode: Callable[[int], list[EncodedWindow]],
    todo: Sequence[int],
    ahead: int,
) -> Iterator[tuple[int, list[EncodedWindow]]]:
    """Each with what was made of it; so many are begun before the first of them is taken."""
    begun: deque[tuple[int, Future[list[EncodedWindow]]]] = deque()
    for i in todo:
        begun.append((i, pool.submit(encode, i)))
        if len(begun) == ahead:
            first, made = begun.popleft()
            yield first, made.result()
    for first, made in begun:
        yield first, made.result()


@contextmanager
def one_thread() -> Iterator[None]:
    """torch with one thread for each operation, for work too small to share out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def _encode(
    model: MoodlineModel,
    tokenizer: Tokenizer,
    row: Row,
    sound: Sound,
    heard: Heard | None,
    recorded: Sequence[EncodedWindow] | None,
) -> list[EncodedWindow]:
    config, device = model.config, model.device
    encoded = []
    windows = clip_windows([sound.clip(row)], tokenizer, config.max_samples, config.max_tokens)
    for number, window in enumerate(windows):
        audio = heard(window.audio, row, config.max_samples) if heard else window.audio
        text_states, tokens = None, len(window.input_ids)
        if recorded is not None:
            before = recorded[number]
            if np.array_equal(audio, window.audio):
                encoded.append(before)
                continue
            text_states = torch.from_numpy(before.text)[None].to(device)
            tokens = len(before.text)
        (acoustic, frames, text, length), probe = model.encode_and_probe(
            torch.from_numpy(audio)[None].to(device),
            torch.tensor([len(audio)], device=device),
            torch.tensor([window.input_ids], device=device),
            torch.tensor([tokens], device=device),
            text_states=text_states,
        )
        acoustic, text = acoustic[:, : int(frames)], text[:, : int(length)]
        arrays = (acoustic, text, probe)
        spoken, said, probed = (np.ascontiguousarray(x[0].float().cpu().numpy()) for x in arrays)
        encoded.append(EncodedWindow(spoken, said, window.weight, probed))
    return encoded


def standardize(model: MoodlineModel, encoded: Sequence[Sequence[EncodedWindow]]) -> None:
    """Set the head's input scaling to the mean and standard deviation of these states.

    They are read twice, a block of turns at a time: memory holds one block.
    """

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        block: list[EncodedWindow] = []
        size = 0
        for number, windows in enumerate(encoded, start=1):
            block += windows
            size += sum(window.size for window in windows)
            if size >= BLOCK or number == len(encoded):
                yield (
                    np.concatenate([window.acoustic for window in block]),
                    np.concatenate([window.text for window in block]),
                )
                block.clear()
                size = 0

    modalities = (model.head.acoustic, model.head.text)
    sums, counts = [np.zeros(len(m.mean)) for m in modalities], [0, 0]
    for block in blocks():
        for i, states in enumerate(block):
            sums[i] += states.sum(axis=0, dtype=np.float64)
            counts[i] += len(states)
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    squares = [np.zeros_like(mean) for mean in means]
    for block in blocks():
        for i, states in enumerate(block):
            squares[i] += ((states - means[i]) ** 2).sum(axis=0)
    for i, modality in enumerate(modalities):
        deviation = np.maximum(np.sqrt(squares[i] / counts[i]), 1e-4)
        modality.mean.copy_(torch.from_numpy(means[i]))
        modality.scale.copy_(torch.from_numpy(deviation))
