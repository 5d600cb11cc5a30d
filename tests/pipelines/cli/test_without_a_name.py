"""In a container the user is a number without a login name (and there is no git)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UID = 10001
NAMELESS = ("LOGNAME", "USER", "LNAME", "USERNAME")


def as_number(code: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as `UID`, in a user namespace: the files stay readable whoever runs this."""
    environment = {name: text for name, text in os.environ.items() if name not in NAMELESS}
    environment |= {"PYTHONPATH": str(ROOT), "MOODLINE_HOME": str(home)}
    return subprocess.run(
        ["unshare", "--user", f"--map-user={UID}", sys.executable, "-c", code, *arguments],
        env=environment, capture_output=True, text=True, check=False, cwd=home.parent,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def can_be_a_number(tmp_path: Path) -> None:
    done = as_number("import os; print(os.getuid())", tmp_path / "home")
    if done.stdout.strip() != str(UID):
        pytest.fail(f"user namespaces are not allowed here: {done.stderr.strip()}", pytrace=False)


def test_the_number_is_the_name(tmp_path: Path) -> None:
    code = "from pipelines.cli.console import user_name; print(user_name())"
    assert as_number(code, tmp_path / "home").stdout == f"uid {UID}\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["retrain", "--corpus", "nowhere"], "models are not there"),
        (["registry", "promote", "7", "--reason", "I listened"], "7"),
        (["registry", "rollback"], "production"),
        (["registry", "sign", "7", "--reason", "I made it"], "7"),
    ],
    ids=["retrain", "promote", "rollback", "sign"],
)
def test_commands_that_write_down_who_runs_them(
    command: list[str], says: str, tmp_path: Path
) -> None:
    """They get as far as what is wrong with the request."""
    done = as_number("from pipelines.cli.main import main; main()", tmp_path / "home", *command)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2), done.stderr
    assert says in done.stderr.splitlines()[-1]


def test_without_git_the_commit_is_the_image_s(tmp_path: Path, monkeypatch) -> None:
    code = "from pipelines.definitions.code_version import git_commit; print(git_commit())"
    monkeypatch.setenv("PATH", "")
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MOODLINE_GIT_COMMIT": "0123abcd"}
    assert subprocess.check_output(command, env=environment, text=True) == "0123abcd\n"
    del environment["MOODLINE_GIT_COMMIT"]
    assert subprocess.check_output(command, env=environment, text=True) == "unknown\n"


def test_the_image_s_build_takes_the_commit_and_names_the_number() -> None:
    images = ROOT / "infra" / "images"
    dockerfile = (images / "Dockerfile").read_text(encoding="utf-8")
    assert "ARG GIT_COMMIT=\nENV MOODLINE_GIT_COMMIT=${GIT_COMMIT}" in dockerfile
    assert f"moodline:x:{UID}:{UID}:" in dockerfile
    assert f"USER {UID}:{UID}" in dockerfile
    assert '--build-arg "GIT_COMMIT=$commit"' in (images / "build.sh").read_text(encoding="utf-8")
