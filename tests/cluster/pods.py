"""Pods on one machine: a step's container as Kubernetes starts it, in namespaces of its own.

Its user is 10001, who has no entry in passwd; its root is read-only; it sees its image, its volumes
and empty scratch folders; its environment is the image's and the pod's; it reaches the services
that are named, and no other network. A peak of memory over its limit ends it.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.cluster.forward import Service

ROOT = Path(__file__).resolve().parents[2]
USER = 10001
"""Of the images; see infra/images/Dockerfile."""

SCRATCH = ("gcs", "s3", "minio", ".local", ".cache", ".config", "tmp")
"""KFP gives a pod these as empty volumes (compiler/argocompiler/container.go), and we /tmp."""

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_PASSWD = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True)
class Pod:
    """What Kubernetes is asked for.

    Attributes:
        command: with its arguments.
        environment: of the pod's specification.
        volumes: folders by the place where the pod sees them.
        memory: the limit in bytes; None: no limit.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)
    memory: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a pod ended.

    Attributes:
        status: its exit status; 137 where it was killed for its memory.
        log: what it printed.
        peak: of its memory, in bytes.
        seconds: how long it ran.
    """

    status: int
    log: str
    peak: int
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether it was killed for its memory."""
        return self.status == 137


def quantity(text: str) -> int:
    """Kubernetes' "1.5Gi" in bytes."""
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return int(float(number) * _UNITS[unit])


def image_environment() -> dict[str, str]:
    """The ENV of the steps' images, its PATH that of this environment."""
    lines = (ROOT / "infra" / "images" / "Dockerfile").read_text().replace("\\\n", " ")
    stage = lines[lines.index(" AS step\n") :]
    stage = stage[: stage.index("\nFROM ")]
    pairs = [p for line in stage.splitlines() if line.startswith("ENV ") for p in line[4:].split()]
    environment = dict(pair.split("=", 1) for pair in pairs)
    return environment | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


class Namespaces:
    """Runs pods by bubblewrap, one after the other.

    As root a pod's user is the real 10001, so that a volume's ownership counts; otherwise it is the
    one who runs the tests, under that number.

    Args:
        folder: for sockets and what goes with a pod.
        services: that every pod reaches.
        image: folders of the image besides its code, by their place in it.
    """

    def __init__(
        self, folder: Path, services: Sequence[Service], image: Mapping[str, Path]
    ) -> None:
        self.services, self.image = tuple(services), dict(image)
        self._etc = folder / "etc"
        self._etc.mkdir(parents=True)
        addresses = {s.name: f"127.0.1.{i}" for i, s in enumerate(self.services, 1)}
        hosts = [f"{address} {name}" for name, address in addresses.items()]
        texts = {"passwd": _PASSWD, "group": _GROUP, "nsswitch.conf": "hosts: files\n"}
        texts["hosts"] = "\n".join(["127.0.0.1 localhost", *hosts, ""])
        for name, text in texts.items():
            (self._etc / name).write_text(text)
            (self._etc / name).chmod(0o644)  # whatever this process's umask is
        self._etc.chmod(0o755)
        self._addresses = addresses
        self.lives: float | None = None
        """The next pod is killed after so many seconds, as when its node is lost."""

    def check(self) -> None:
        """One line, where this machine lets nobody make such pods."""
        scratch = self._etc.parent / "check"
        ended = self.run(Pod(["true"]), scratch)
        shutil.rmtree(scratch)
        assert ended.status == 0, (
            f"bubblewrap cannot make namespaces here, which these tests need: {ended.log.strip()}"
        )

    def run(self, pod: Pod, scratch: Path) -> Ended:
        """Run a pod to its end; what it leaves in its empty volumes lies in `scratch` then."""
        for name in SCRATCH:
            (scratch / name).mkdir(parents=True, exist_ok=True)
            (scratch / name).chmod(0o777)
        log = scratch / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(pod, scratch), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        began, peak, over = time.monotonic(), 0, False
        end = None if self.lives is None else began + self.lives
        self.lives = None
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            over = over or bool(pod.memory and peak > pod.memory)
            if over or (end is not None and time.monotonic() > end):
                process.kill()
            time.sleep(0.05)
        status = 137 if over else process.returncode
        seconds = time.monotonic() - began
        return Ended(status, log.read_text(errors="replace"), peak, seconds)

    def _command(self, pod: Pod, scratch: Path) -> list[str]:
        python = Path(sys.prefix)
        read_only = {
            "/usr": Path("/usr"),
            "/etc": self._etc,
            str(python): python,
            sys.base_prefix: Path(sys.base_prefix),
            "/bench/forward.py": Path(__file__).with_name("forward.py"),
        }
        read_only |= self.image
        code = ("components", "pipelines", "serving", "requirements.lock")
        read_only |= {f"/app/{name}": ROOT / name for name in code}
        read_only |= {f"/run/services/{s.socket.name}": s.socket for s in self.services}
        options = ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "pod"]
        options += [f"--unshare-{kind}" for kind in ("net", "pid", "ipc", "uts")]
        for name in ("bin", "sbin", "lib", "lib64"):
            options += ["--symlink", f"usr/{name}", f"/{name}"]
        options += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
        # /etc lies outside: a volume below it is mounted on a folder there.
        for target in (Path(place) for place in pod.volumes):
            if target.is_relative_to("/etc"):
                (self._etc / target.relative_to("/etc")).mkdir(exist_ok=True)
        places = [Path(place) for place in (*read_only, *pod.volumes)]
        above = {str(p) for place in places for p in place.parents} - {"/", "/etc"}
        for folder in sorted(above):
            options += ["--perms", "0755", "--dir", folder]
        for target, source in read_only.items():
            options += ["--ro-bind", str(source), target]
        for target, source in pod.volumes.items():
            options += ["--bind", str(source), target]
        for name in SCRATCH:
            options += ["--bind", str(scratch / name), f"/{name}"]
        options += ["--remount-ro", "/", "--chdir", "/tmp"]
        for name, value in (image_environment() | dict(pod.environment)).items():
            options += ["--setenv", name, value]
        if os.geteuid() == 0:
            for capability in ("SETUID", "SETGID", "SETPCAP"):
                options += ["--cap-add", f"CAP_{capability}"]
            user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            user += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        else:
            options += ["--unshare-user", "--uid", str(USER), "--gid", str(USER)]
            user = []
        services = [
            f"{s.name}={self._addresses[s.name]}:{s.port}=/run/services/{s.socket.name}"
            for s in self.services
        ]
        inside = [str(python / "bin" / "python"), "/bench/forward.py", *services, "--"]
        return ["bwrap", *options, *user, *inside, *pod.command]


def memory(pid: int) -> int:
    """What a process and its descendants hold for themselves, in bytes."""
    held = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                usage = one.memory_info()
                held += usage.rss - usage.shared
    return held
