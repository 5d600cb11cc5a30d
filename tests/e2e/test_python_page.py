"""The code of docs/python.md runs, and prints what the page says."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (\w+)\n.*?^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.M | re.S)
CODE = {name: code for name, code, _ in SECTION.findall(PAGE)}
OUTPUT = {name: output for name, _, output in SECTION.findall(PAGE) if output}


def test_every_block_of_the_page_is_run_here() -> None:
    assert list(CODE) == ["Align", "Score", "Analyze", "Train", "Promote"]
    assert list(OUTPUT) == ["Align", "Score"]
    assert PAGE.count("```python\n") == len(CODE)


@pytest.mark.parametrize("name", OUTPUT)
def test_a_block_prints_what_the_page_says(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE[name]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == OUTPUT[name]


@pytest.mark.models
def test_a_version_is_trained_promoted_and_used(
    run: Callable[[str], subprocess.CompletedProcess[str]], workplace: Path, demo_corpus: Path
) -> None:
    folder = workplace / "python"
    folder.mkdir()
    (folder / "corpus").symlink_to(workplace / "corpus")
    shutil.copy(workplace / "other.yaml", folder / "mine.yaml")
    shutil.copy(demo_corpus / "Session5/dialog/wav/Ses05F_impro01.ogg", folder / "call.ogg")
    printed = {}
    for name in ("Train", "Promote", "Analyze"):
        (folder / f"{name}.py").write_text(CODE[name], encoding="utf-8")
        done = run(f"cd python && MOODLINE_HOME=home {sys.executable} {name}.py")
        assert done.returncode == 0, done.stderr[-3000:]
        printed[name] = done.stdout
    assert re.fullmatch(r"epoch \d+, macro F1 [01]\.\d\d\n", printed["Train"])
    assert printed["Promote"] == "version 1 is in production, verdict pass\n"
    lines = printed["Analyze"].splitlines()
    assert len(lines) > 5
    assert all(re.match(r"\d+\.\d\d \w+ (angry|happy|neutral|sad) \d+% ", line) for line in lines)
