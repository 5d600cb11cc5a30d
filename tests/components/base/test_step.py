"""A step whose input has expired in the object store says so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError
from components.base.step import missing_artifacts, run_step


def told(**artifacts: tuple[Path | str, dict[str, Any]]) -> list[str]:
    """What KFP's executor is told: each input's URI and metadata."""
    listed = {
        name: {"artifacts": [{"uri": str(uri), "metadata": metadata}]}
        for name, (uri, metadata) in artifacts.items()
    }
    given = {"inputs": {"artifacts": listed}}
    return ["--component_module_path", "step.py", "--executor_input", json.dumps(given)]


def test_only_what_is_not_there_is_missing(tmp_path: Path) -> None:
    words = "minio://moodline/v2/artifacts/run/words"
    assert missing_artifacts(told(corpus=(tmp_path, {}), words=(words, {}))) == [f"words ({words})"]
    assert missing_artifacts(told(champion=(tmp_path / "none", {}))) == []
    (gone,) = missing_artifacts(told(champion=(tmp_path / "none", {"version": 3})))
    assert gone.startswith("champion (")
    assert missing_artifacts(["--executor_input", "{}"]) == missing_artifacts([]) == []


def test_a_step_that_fails_for_want_of_one_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reads.py").write_text("open('/not/there')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["step"])
    with pytest.raises(InputError, match=r"turns \(s3://calls/turns\): is not in the object store"):
        run_step("label", "reads", told(turns=("s3://calls/turns", {})))
    with pytest.raises(FileNotFoundError):  # its own fault
        run_step("label", "reads", told(turns=(tmp_path, {})))


def test_a_process_that_ends_looks_for_no_garbage() -> None:
    """What was registered first runs last, so it sees what is left for Python to look through."""
    code = """
import atexit, gc
from components.base import end_quickly
atexit.register(lambda: print(len(gc.get_objects())))
ENDING
everything = [[number] for number in range(50_000)]
"""
    left = {}
    for ending in ("end_quickly()", ""):
        command = [sys.executable, "-c", code.replace("ENDING", ending)]
        left[ending] = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert left["end_quickly()"] < 1_000
    assert left[""] > 50_000
