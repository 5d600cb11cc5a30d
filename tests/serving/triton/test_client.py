"""The client with its Triton away, and with several."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.profile import Settings
from serving.processes import free_ports
from serving.triton.client import TritonClient
from serving.triton.errors import TritonAwayError
from serving.triton.export import export_version, serve_versions
from serving.triton.server import TritonServer
from serving.triton.setup import TritonEnvironment

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

Clip = tuple[np.ndarray, np.ndarray]
CLIP = (np.zeros(1600, dtype=np.float32), np.array([101, 102], dtype=np.int64))


@pytest.mark.parametrize("clips", [1, 3])
def test_triton_is_away(clips: int) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"

    async def ask() -> None:
        async with TritonClient(address, deadline=5.0) as client:
            await client.classify_all([CLIP] * clips)

    with pytest.raises(TritonAwayError, match="model server is away"):
        asyncio.run(ask())


def test_it_spreads_over_several_and_leaves_out_the_dead(
    triton: TritonServer, models: dict[int, Path], tmp_path: Path, clip: Callable[[int], Clip]
) -> None:
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], tmp_path / "repository", 3)
    serve_versions(tmp_path / "repository", [3], threads=1)
    clips = [clip(i) for i in range(40)]
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as other:
        other.control.load()
        before = triton.control.statistics(3).answered

        async def ask() -> None:
            async with TritonClient(f"{triton.grpc_url},{other.grpc_url}") as client:
                await client.classify_all(clips, version="3")
                both = [triton.control.statistics(3).answered - before]
                both.append(other.control.statistics(3).answered)
                assert min(both) > 10, both
                other.stop(grace=0)
                await client.classify_all(clips, version="3")  # none fails
                other.start()
                other.control.load()
                while not other.control.statistics(3).answered:
                    await client.classify_all(clips, version="3")

        asyncio.run(asyncio.wait_for(ask(), 60))
