"""What is installed is known: pinned by hash, in a bill of materials, asked about its faults."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "infra" / "locks").glob("*.lock"))]
DIGEST = f"python@sha256:{'0123456789abcdef' * 4}"


def releases(lock: Path) -> dict[str, str]:
    """The version of each package in a lock."""
    found = re.findall(r"^(\S+?)==([^\s\\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_release_has_a_hash(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_uv_is_installed_from_its_lock_and_from_nowhere_else() -> None:
    """It installs all the rest, so whoever changes it changes everything."""
    assert set(releases(ROOT / "infra" / "locks" / "uv.lock")) == {"uv"}
    images = ROOT / "infra" / "images"
    for path in (ROOT / "Makefile", images / "environment.sh", images / "Dockerfile"):
        text = path.read_text(encoding="utf-8")
        assert "uv==" not in text, path
        for line in re.findall(r".*pip install .*", text):
            assert "--require-hashes" in line or "--no-deps --no-build-isolation -e ." in line, line


def test_images_and_machine_have_the_same_releases() -> None:
    whole = releases(ROOT / "requirements.lock")
    for name in ("slim", "images"):
        lock = releases(ROOT / "infra" / "locks" / f"{name}.lock")
        assert len(lock) > 50
        assert {p: (v, whole.get(p)) for p, v in lock.items() if whole.get(p) != v} == {}
    import tomllib

    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {canonicalize_name(Requirement(line).name) for line in needed}
    assert names <= releases(ROOT / "infra" / "locks" / "images.lock").keys()


@pytest.mark.parametrize(
    ("bases", "refused"),
    [
        ({}, "BASE_IMAGE"),
        ({"BASE_IMAGE": "python:3.11-slim-bookworm", "BUILD_IMAGE": DIGEST}, "BASE_IMAGE"),
        ({"BASE_IMAGE": DIGEST, "BUILD_IMAGE": "python:3.11@sha256:abc"}, "BUILD_IMAGE"),
    ],
)
def test_what_goes_to_a_registry_is_built_on_digests(bases: dict[str, str], refused: str) -> None:
    """It is refused before Docker is looked for."""
    environment = {"PATH": os.environ["PATH"], "REGISTRY": "registry.example.com/team", **bases}
    done = subprocess.run(
        ["bash", ROOT / "infra" / "images" / "build.sh", "digest", "0.1.0", "slim"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("REGISTRY=registry.example.com/team: " + refused)
    assert "is no digest; give name@sha256:…" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_bill_of_materials_names_every_release(tmp_path: Path) -> None:
    """CycloneDX, and valid: the tool that makes it checks it against the schema."""
    lock, bill = ROOT / "infra" / "locks" / "triton.lock", tmp_path / "triton.cdx.json"
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"cyclonedx_py requirements \$\$lock (.*?)-o ", recipe, re.DOTALL)
    assert options
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", lock,
         *options[1].replace("\\\n", " ").split(), "-o", bill],
        cwd=ROOT, check=True,
    )  # fmt: skip
    content = json.loads(bill.read_text())
    assert content["bomFormat"] == "CycloneDX"
    assert content["metadata"]["component"]["name"] == "moodline"
    told = {canonicalize_name(part["name"]): part["version"] for part in content["components"]}
    assert told == releases(lock)
    assert all(part["externalReferences"][0]["hashes"] for part in content["components"])


@contextmanager
def database(known: set[str]) -> Iterator[str]:
    """A server that speaks OSV's protocol and knows a vulnerability of some packages."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = asked["package"]
            name = f"{package['name']}=={asked['version']}"
            fault = {"id": "OSV-1", "affected": [{"package": package}], "aliases": []}
            answer = {"vulns": [fault]} if name in known or package["name"] in known else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def audit(url: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, ROOT / "infra" / "setup" / "audit.py", "-s", "osv", "--osv-url", url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_where_no_database_can_be_had_nothing_is_said_to_be_audited() -> None:
    status, lines = audit("http://127.0.0.1:9/v1/query")
    assert status == 1
    assert lines[0].startswith("not audited: no database of vulnerabilities can be had (")
    with database(set()) as url:  # it answers, and knows nothing at all
        status, lines = audit(url)
    assert status == 1
    assert lines[0].startswith("not audited: ")


def test_every_release_of_every_lock_is_asked_about() -> None:
    total = {(name, version) for lock in LOCKS for name, version in releases(lock).items()}
    with database({"jinja2==2.4.1"}) as url:
        status, lines = audit(url)
    known = "0 with known vulnerabilities, 0 not audited"
    assert (status, lines) == (0, [f"{len(total)} releases, {known}"])
    with database({"jinja2==2.4.1", "uv", "numpy"}) as url:
        status, lines = audit(url)
    assert status == 1
    uv, numpys = releases(ROOT / "infra/locks/uv.lock")["uv"], {v for n, v in total if n == "numpy"}
    assert len(numpys) == 2
    expected = {f"numpy {v}: OSV-1, mended in no release" for v in numpys}
    assert set(lines[:-1]) == expected | {f"uv {uv}: OSV-1, mended in no release"}
    assert lines[-1] == f"{len(total)} releases, 3 with known vulnerabilities, 0 not audited"
