"""The client with its Triton away, and with several."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from components.config import Settings
from serving.processes import free_ports
from serving.triton import client as client_module
from serving.triton import control as control_module
from serving.triton import replicas as replicas_module
from serving.triton.client import TritonClient
from serving.triton.control import TritonControl
from serving.triton.environment import TritonEnvironment
from serving.triton.errors import TritonAwayError, TritonFullError
from serving.triton.replicas import Replicas
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.serving.steered import HOST, stubs
from tests.serving.triton.forward import forwarded
from tests.serving.triton.names import NameServer

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
    serve_versions(tmp_path / "repository", [3], HOST)
    clips = [clip(i) for i in range(40)]
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as other:
        other.control.load()

        def answered(server: TritonServer) -> int:
            return server.control.answer_count(3)

        before = {server: answered(server) for server in (triton, other)}

        async def ask() -> None:
            async with TritonClient(f"{triton.grpc_url},{other.grpc_url}") as client:
                await client.classify_all(clips, version="3")
                # The first ones are sent before any is answered, and so in turns.
                for server in (triton, other):
                    assert answered(server) >= before[server] + client.at_once // 2
                other.stop(grace=0)
                await client.classify_all(clips, version="3")  # none fails
                other.start()
                other.control.load()
                warmed_up = answered(other)
                while answered(other) == warmed_up:
                    await client.classify_all(clips, version="3")

        asyncio.run(asyncio.wait_for(ask(), 60))


def test_most_of_those_listed_may_be_away(
    triton: TritonServer, clip: Callable[[int], Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas_module, "MAX_BACKOFF_SECONDS", 0.0)  # as after a quiet minute
    away = [f"127.0.0.1:{port}" for port in free_ports(5)]

    async def ask() -> None:
        async with TritonClient(",".join([*away, triton.grpc_url])) as client:
            for _ in range(20):
                await client.classify(*clip(1), version="3")

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_one_that_falls_silent_costs_no_clip(
    triton: TritonServer, models: dict[int, Path], tmp_path: Path, clip: Callable[[int], Clip]
) -> None:
    """As a host does that loses its network: what is sent to it is neither answered nor refused."""
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], tmp_path / "repository", 3)
    serve_versions(tmp_path / "repository", [3], HOST)
    clips = [clip(i) for i in range(10)]
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as other:
        other.control.load()

        async def ask(port: int) -> None:
            async with TritonClient(f"{triton.grpc_url},127.0.0.1:{port}") as client:
                await client.classify_all(clips, version="3")
                assert other.pid
                os.killpg(other.pid, signal.SIGSTOP)
                try:
                    await client.classify_all(clips, version="3")  # none fails
                finally:
                    os.killpg(other.pid, signal.SIGCONT)

        with forwarded(other.grpc_url.removeprefix("unix:")) as port:
            asyncio.run(ask(port))


def test_one_that_does_not_even_refuse_costs_no_clip(
    triton: TritonServer, clip: Callable[[int], Clip]
) -> None:
    """A listener whose queue is full answers no SYN, as a host that is switched off."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, ExitStack() as queue:
        address = silent.getsockname()
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)

        async def ask() -> None:
            url = f"127.0.0.1:{address[1]},{triton.grpc_url}"
            async with TritonClient(url, deadline=10.0) as client:
                await client.classify_all([clip(i) for i in range(10)], version="3")

        asyncio.run(ask())


def test_a_full_one_is_full_whoever_else_is_away(
    models: dict[int, Path], tmp_path: Path, clip: Callable[[int], Clip]
) -> None:
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], tmp_path / "repository", 3)
    host = HOST.model_copy(update={"max_queue": 1, "max_batch": 1})
    serve_versions(tmp_path / "repository", [3], host)
    away = [f"127.0.0.1:{port}" for port in free_ports(3)]
    with TritonServer(environment, tmp_path / "repository", tmp_path / "log") as server:
        server.control.load()
        (stub,) = stubs(server)

        async def ask() -> list[object]:
            async with TritonClient(",".join([*away, server.grpc_url])) as client:
                stub.suspend()
                calls = [client.classify(*clip(1), version="3") for _ in range(64)]
                tasks = [asyncio.create_task(call) for call in calls]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                stub.resume()
                return await asyncio.gather(*tasks, return_exceptions=True)

        failed = [e for e in asyncio.run(ask()) if isinstance(e, BaseException)]
    assert failed
    assert {type(error) for error in failed} == {TritonFullError}


def test_a_name_that_was_nobodys_for_long_is_found_at_once(
    triton: TritonServer, clip: Callable[[int], Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC itself would ask for it after 1, 3, 5 and 10 seconds, and then ever less often."""
    for module in (client_module, control_module):
        monkeypatch.setattr(module, "RECONNECT_SECONDS", 1.0)

    async def found(client: TritonClient) -> bool:
        try:
            await client.classify(*clip(1), version="3")
        except TritonAwayError:
            return False
        return True

    async def ask(names: NameServer, port: int) -> None:
        url = names.url(port)
        control = TritonControl(url)
        async with TritonClient("triton.test:8001") as client:
            client._replicas = Replicas([url])  # the setting names no name server
            began = time.monotonic()
            while time.monotonic() < began + 6:
                assert not await found(client) and not control.alive()
                await asyncio.sleep(0.2)
            names.known = True
            await asyncio.sleep(1.5)
            assert await found(client)
            control.alive()
            assert control.alive()
            control.close()

    with NameServer() as names, forwarded(triton.grpc_url.removeprefix("unix:")) as port:
        asyncio.run(ask(names, port))
