"""Triton's own Python environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.config import Settings
from serving.triton.environment import TritonEnvironment, main


@pytest.fixture
def environment() -> TritonEnvironment:
    return TritonEnvironment(Settings().triton_env.resolve())


def test_its_python_is_ours_with_an_older_numpy(environment: TritonEnvironment) -> None:
    code = "import sys, numpy, onnxruntime; print(*sys.version_info[:2], numpy.__version__)"
    told = subprocess.check_output([environment.python, "-c", code], text=True).split()
    assert tuple(map(int, told[:2])) == sys.version_info[:2]
    assert int(told[2].split(".")[0]) < 2


def test_the_stub_is_a_link_and_finds_its_libraries(environment: TritonEnvironment) -> None:
    environment.check()
    assert environment.stub.is_symlink(), "a copy loses its way to its libraries"
    variables = environment.variables()
    told = subprocess.check_output(["ldd", environment.stub], env=variables, text=True)
    assert "libpython3.11" in told
    assert "not found" not in told


def test_a_failed_setup_says_why_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = tmp_path / "lock"
    lock.write_text("numpy==1.26.4\n")
    assert main(["--into", str(tmp_path / "triton"), "--lock", str(lock)]) == 2
    assert "installing Triton failed" in caplog.messages[-1]
    assert "hash" in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]
