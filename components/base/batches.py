"""Batches that do not fit into a GPU's memory: others use it, too, and sounds differ in length."""

import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

B = TypeVar("B")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an accelerator has no memory left: torch ("CUDA out of memory"), CTranslate2 ("CUDA
    failed with error out of memory") and NVIDIA's libraries say so.

    >>> is_out_of_memory(RuntimeError("CUDA failed with error out of memory"))
    True
    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"))
    True
    """
    message = str(error).lower()
    return "out of memory" in message or "status_alloc_failed" in message


def in_halves(work: Callable[[Any], list[B]], batch: Any, setting: str) -> list[B]:
    """Work on a batch; where it does not fit into memory, on its halves, and so on.

    Args:
        work: gives the results of a batch, in order.
        batch: a list or a tensor of items.
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
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what torch keeps for itself, CTranslate2 cannot have
    return in_halves(work, batch[:half], setting) + in_halves(work, batch[half:], setting)
