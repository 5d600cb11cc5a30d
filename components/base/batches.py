"""Batches that do not fit into a GPU's memory: others use it, too, and sounds differ in length."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

logger = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an accelerator has no memory left: torch ("CUDA out of memory") and CTranslate2
    ("CUDA failed with error out of memory") both say so.

    >>> is_out_of_memory(RuntimeError("CUDA failed with error out of memory"))
    True
    """
    return "out of memory" in str(error).lower()


def in_halves(work: Callable[[Sequence[A]], list[B]], batch: Sequence[A], setting: str) -> list[B]:
    """Work on a batch; where it does not fit into memory, on its halves, and so on.

    Args:
        work: gives one result for each item, in order.
        setting: what a person lowers to have smaller batches from the first.

    Raises:
        RuntimeError: of `work`; also where one item alone does not fit.
    """
    try:
        return work(batch)
    except RuntimeError as error:
        if len(batch) < 2 or not is_out_of_memory(error):
            raise
        half = (len(batch) + 1) // 2
        logger.warning(
            "a batch of %d does not fit into the GPU's memory: going on with %d at once (lower %s)",
            len(batch), half, setting,
        )  # fmt: skip
    return in_halves(work, batch[:half], setting) + in_halves(work, batch[half:], setting)
