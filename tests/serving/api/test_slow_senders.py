"""Who sends too slowly is not waited for, on real connections to a real server."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from serving.api import slow_senders
from serving.api.app import create_app
from serving.api.slow_senders import Connection, LeastRate

HEAD = b"POST /v1/feedback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Its address; it waits for hardly anything."""
    monkeypatch.setattr(slow_senders, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(slow_senders, "PATIENCE", 0.2)
    monkeypatch.setattr(slow_senders, "LEAST_BYTES_A_SECOND", 20_000_000)
    config = uvicorn.Config(create_app(1_000_000, 1), http=Connection, log_level="error")
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        running.should_exit = True
        thread.join(20)


def ask(client: HTTPConnection) -> int:
    client.request("POST", "/v1/feedback", b"{}", {"Content-Type": "application/json"})
    response = client.getresponse()
    response.read()
    return response.status


def to_the_end(connection: socket.socket, drip: bytes = b"") -> bytes:
    """What comes until the server closes; meanwhile the drip goes on, a byte at a time."""
    connection.settimeout(0.02)
    read, sent = b"", 0
    while True:
        try:
            more = connection.recv(10_000)
            if not more:
                return read
            read += more
        except TimeoutError:
            try:
                connection.sendall(drip[sent : sent + 1])
            except (BrokenPipeError, ConnectionResetError):
                return read
            sent += 1
        except ConnectionResetError:
            return read


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("begin", "drip"),
    [(b"", b""), (b"GET / HTTP/1.1\r\n", b""), (b"", HEAD * 100)],
    ids=["nothing", "half a head", "a head by bytes"],
)
def test_a_head_that_does_not_come(server: tuple[str, int], begin: bytes, drip: bytes) -> None:
    with socket.create_connection(server) as connection:
        connection.sendall(begin)
        assert to_the_end(connection, drip) == b""


@pytest.mark.timeout(30)
def test_a_second_head_that_does_not_come(server: tuple[str, int]) -> None:
    client = HTTPConnection(*server)
    assert ask(client) == 422
    client.sock.sendall(b"GET / HTTP/1.1\r\n")
    assert to_the_end(client.sock) == b""
    client.close()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("drip", [b"", b"x" * 5_000], ids=["silence", "a body by bytes"])
def test_a_body_that_does_not_come(server: tuple[str, int], drip: bytes) -> None:
    with socket.create_connection(server) as connection:
        connection.sendall(HEAD + b"Content-Type: application/json\r\n\r\n")
        answer = to_the_end(connection, drip)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"slower than" in answer and b"x-request-id" in answer


@pytest.mark.timeout(30)
def test_an_honest_sender_is_answered_again_and_again(server: tuple[str, int]) -> None:
    client = HTTPConnection(*server)
    client.connect()
    connection = client.sock
    assert [ask(client) for _ in range(3)] == [422] * 3
    assert client.sock is connection
    client.close()


@pytest.mark.timeout(30)
def test_what_was_sent_fast_buys_no_long_wait(
    server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte at once is worth 50 s of the least rate, and still no more than `PATIENCE`."""
    monkeypatch.setattr(slow_senders, "LEAST_BYTES_A_SECOND", 20_000)
    with socket.create_connection(server) as connection:
        head = "POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999\r\n"
        form = "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        part = '--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
        connection.sendall(f"{head}{form}{part}".encode() + bytes(900_000))
        began = time.monotonic()
        answer = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 5


def test_only_the_time_in_which_the_sender_is_waited_for_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow disk is not the sender's fault."""
    monkeypatch.setattr(slow_senders, "PATIENCE", 0.2)
    chunk = {"type": "http.request", "body": b"x", "more_body": True}
    messages: list[Message] = [chunk, chunk, {"type": "http.request", "body": b""}]
    seen: list[str] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        for _number in range(3):
            await asyncio.sleep(0.15)
            seen.extend([(await receive())["type"]])

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_: Message) -> None:
        pass

    asyncio.run(LeastRate(app)({"type": "http", "headers": []}, receive, send))
    assert seen == ["http.request"] * 3
