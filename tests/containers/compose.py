"""`docker compose` on a copy of infra/compose, in a project of its own that is gone afterwards."""

import json
import secrets
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from pipelines.definitions.code_version import ROOT
from serving.processes import free_ports

COMMAND = ("docker-compose",) if shutil.which("docker-compose") else ("/usr/bin/docker", "compose")
"""Compose 1 (Debian's) or 2."""

PULLED = ("prometheus", "alertmanager", "postgres")
"""Those whose images are pulled; the images that stand in for them: `infra/images/stand_ins.sh`."""

HOME = "/var/lib/moodline"


class Composed:
    """The stack of infra/compose/compose.yaml, set up as infra/README.md says.

    The file is used as it is; a second one names the images that stand in for those of Docker Hub.

    Args:
        folder: gets the copy.
        settings: entries of `.env`, besides the passwords and ports.

    Attributes:
        urls: where the service, MLflow and Prometheus answer.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        for name in ("compose", "prometheus"):
            own = shutil.ignore_patterns(".env", "trigger-token")
            shutil.copytree(ROOT / "infra" / name, folder / name, ignore=own)
        self._folder, self._settings = folder / "compose", settings
        self.project = f"moodline-test-{secrets.token_hex(4)}"
        example = (self._folder / "env.example").read_text(encoding="utf-8")
        names = [line.partition("=")[0] for line in example.splitlines() if line[:1].isupper()]
        filled = {
            name: secrets.token_hex(12) for name in names if name.endswith(("PASSWORD", "_KEY"))
        }
        filled |= {name: f"sha256:{64 * '0'}" for name in names if name.endswith("_DIGEST")}
        ports = [name for name in names if name.endswith("_PORT")]
        numbers = dict(zip(ports, free_ports(len(ports)), strict=True))
        filled |= {name: str(number) for name, number in numbers.items()}
        self._settings = filled | {"COMPOSE_PROJECT_NAME": self.project} | settings
        self.urls = {
            name.removesuffix("_PORT").lower(): f"http://127.0.0.1:{number}"
            for name, number in numbers.items()
        }
        self.set()
        (self._folder / "trigger-token").write_text(secrets.token_hex(24), encoding="utf-8")
        images = {"services": {n: {"image": f"moodline/stand-in-{n}"} for n in PULLED}}
        (self._folder / "override.yaml").write_text(yaml.safe_dump(images), encoding="utf-8")

    def set(self, **settings: str) -> None:
        """Change entries of `.env`; the next `up` brings them to the containers."""
        self._settings |= settings
        lines = [f"{name}={value}\n" for name, value in self._settings.items()]
        (self._folder / ".env").write_text("".join(lines), encoding="utf-8")

    def __call__(self, *words: str, stdin: bytes = b"") -> str:
        """What a command of Compose prints; raises if it fails."""
        done = self._run(*words, stdin=stdin)
        said = f"{done.stdout.decode()[-3000:]}\n{done.stderr.decode()[-6000:]}"
        assert done.returncode == 0, f"compose {' '.join(words)}: {said}"
        return done.stdout.decode()

    def _run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        files = (
            "-f",
            str(self._folder / "compose.yaml"),
            "-f",
            str(self._folder / "override.yaml"),
        )
        return subprocess.run(
            [*COMMAND, *files, *words], input=stdin, capture_output=True, check=False, timeout=1200
        )

    def moodline(self, command: str, *, within: str = "trigger") -> Any:
        """The JSON that a `moodline` command prints in a container."""
        return json.loads(self("exec", "-T", within, "moodline", *command.split(), "--json"))

    def put(self, path: Path, name: str) -> None:
        """Copy a file or a folder into the volume of the service's state."""
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(path, name)
        self("exec", "-T", "trigger", "tar", "-x", "-C", HOME, stdin=packed.getvalue())

    def logs(self, service: str) -> str:
        """What a service has written so far."""
        return self("logs", "--no-color", service)

    def down(self) -> None:
        """Remove containers, networks and volumes."""
        self._run("down", "-v", "--remove-orphans", "-t", "10")
