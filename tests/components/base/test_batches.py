"""A batch that does not fit into memory is worked on in parts that do."""

import logging
from collections.abc import Sequence

import pytest

from components.base import in_halves

CTRANSLATE2 = "CUDA failed with error out of memory"


@pytest.mark.parametrize("room", [1, 2, 3, 7, 9])
def test_halves_that_fit_are_taken_in_order(room: int, caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[int] = []

    def work(batch: Sequence[int]) -> list[int]:
        if len(batch) > room:
            raise RuntimeError(CTRANSLATE2)
        sizes.append(len(batch))
        return [2 * item for item in batch]

    with caplog.at_level(logging.WARNING):
        assert in_halves(work, range(9), "transcribe.batch_size") == list(range(0, 18, 2))
    assert max(sizes) <= room
    assert bool(caplog.messages) == (room < 9)
    if room == 7:
        assert caplog.messages == [
            "a batch of 9 does not fit into the GPU's memory: going on with 5 at once"
            " (lower transcribe.batch_size)"
        ]


@pytest.mark.parametrize("message, size", [(CTRANSLATE2, 1), ("a model has no such layer", 4)])
def test_nothing_smaller_would_help(message: str, size: int) -> None:
    calls = []

    def work(batch: Sequence[int]) -> list[int]:
        calls.append(len(batch))
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match=message):
        in_halves(work, range(size), "transcribe.batch_size")
    assert calls == [size]
