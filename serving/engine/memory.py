"""What glibc does with freed memory.

By default it keeps a large block that was freed for the next one, and raises by itself the size
from which on a block goes back to the system.
"""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def return_freed_memory() -> None:
    """Have glibc give back each freed block of a megabyte.

    By default it keeps them. The small results that pyannote puts in between leave each batch's
    block a little too small for the next, so an hour of audio costs a gigabyte and a half.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
