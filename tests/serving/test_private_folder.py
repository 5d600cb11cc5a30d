"""Folders for sockets: closed, of plain names, never aged away, and cleared after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.processes import PrivateFolder

ROOT = Path(__file__).resolve().parents[2]

OWNER = """
import time
from pathlib import Path
from serving.processes import PrivateFolder

folder = PrivateFolder()
(folder.path / "models").symlink_to("/")
Path("/dev/shm", folder.region + "1").write_text("sound")
print(folder.path, folder.region, flush=True)
time.sleep(300)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of our own, with a short name."""
    folder = Path("/tmp") / f"t-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    for left in folder.iterdir():
        left.rmdir() if left.is_dir() and not left.is_symlink() else left.unlink()
    folder.rmdir()


@contextmanager
def running(temporary: Path) -> "Iterator[tuple[subprocess.Popen[str], Path, Path]]":
    """A process with a folder and shared memory."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            path, region = process.stdout.readline().split()
            yield process, Path(path), Path("/dev/shm", f"{region}1")
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["with space", "a" * 90, "50%"])
def test_sockets_lie_where_only_we_get_and_their_names_are_plain(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    folder = PrivateFolder()
    assert folder.path.parent == Path("/tmp")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert not folder.path.exists()


def test_a_socket_s_address_is_never_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long a folder for temporary files as is taken, and the longest user id."""
    monkeypatch.setattr("os.geteuid", lambda: 2**32 - 2)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix, dir: f"{dir}/{prefix}{'x' * 8}")
    monkeypatch.setattr("serving.processes._lock", lambda _: 1_000_000)
    monkeypatch.setattr("tempfile.tempdir", "/" + "t" * 54)
    folder = PrivateFolder().path
    assert folder.parent == Path("/" + "t" * 54)
    assert len(f"{folder}/control") <= 107 and len(f"{folder}/grpc:1") <= 107


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(temporary: Path) -> None:
    with running(temporary) as (living, kept, memory), running(temporary) as (killed, left, shared):
        assert left.is_dir() and shared.is_file()
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        folder = PrivateFolder()
        assert not left.exists() and not shared.exists()
        assert living.poll() is None and kept.is_dir() and memory.is_file()
        assert (kept / "models").is_symlink()
        folder.remove()
        os.kill(living.pid, signal.SIGKILL)
        living.wait()
        PrivateFolder().remove()
        assert list(temporary.iterdir()) == [] and not memory.exists()


def test_it_is_locked_against_ageing_until_it_is_removed(temporary: Path) -> None:
    """`systemd-tmpfiles` takes this very lock before it looks into a folder, and else skips it."""
    flock = ["flock", "--exclusive", "--nonblock"]
    folder = PrivateFolder()
    assert subprocess.run([*flock, folder.path, "true"], check=False).returncode == 1
    another = PrivateFolder()
    assert folder.path.is_dir(), "another one of this process does not take it for left behind"
    another.remove()
    os.close(os.open(folder.path, os.O_RDONLY))  # which would end a lock of fcntl's other kind
    assert subprocess.run([*flock, folder.path, "true"], check=False).returncode == 1
    folder.remove()


def test_links_and_other_users_folders_are_left_alone(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    link = temporary / f"moodline-sockets-u{os.geteuid()}_aaaaaaaa"
    link.symlink_to(tmp_path / "precious")
    PrivateFolder().remove()
    assert link.is_symlink() and (tmp_path / "precious").is_dir()
    if os.getuid() == 0:
        theirs = temporary / "moodline-sockets-u0_bbbbbbbb"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)
        PrivateFolder().remove()
        assert theirs.is_dir()


def test_systemd_leaves_it_alone_when_it_is_old(temporary: Path) -> None:
    tool = shutil.which("systemd-tmpfiles")
    if tool is None:
        return  # the test before this one holds the lock that it asks for
    folder = PrivateFolder()
    other = temporary / "other"
    other.mkdir()
    for path in (folder.path, other):
        (path / "models").symlink_to("/")
    rules = temporary / "rules.conf"
    rules.write_text(f"d {temporary} - - - 1s\n")
    time.sleep(1.2)
    subprocess.run([tool, "--clean", rules], check=True)
    assert not other.exists()
    assert (folder.path / "models").is_symlink()
    folder.remove()
