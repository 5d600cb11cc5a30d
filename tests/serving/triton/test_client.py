"""A client whose Triton is away says so in its own words, for one clip and for many."""

import asyncio

import numpy as np
import pytest

from serving.processes import free_ports
from serving.triton.client import TritonClient
from serving.triton.errors import TritonAwayError

CLIP = (np.zeros(1600, dtype=np.float32), np.array([101, 102], dtype=np.int64))


@pytest.mark.parametrize("clips", [1, 3])
def test_triton_is_away(clips: int) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"

    async def ask() -> None:
        async with TritonClient(address, deadline=5.0) as client:
            await client.classify_all([CLIP] * clips)

    with pytest.raises(TritonAwayError, match="model server is away"):
        asyncio.run(ask())
