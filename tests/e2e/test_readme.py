"""What the README tells people to type exists, and its pictures and links do."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.split(" #")[0].split("  (")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
COMMANDS = sorted(
    {
        line.removeprefix(".venv/bin/")
        for line in LINES
        if re.match(r"(\.venv/bin/)?moodline ", line)
    }
)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8
    assert "make demo" in LINES
    assert "make test" in LINES


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_options_exist(command: str) -> None:
    words = shlex.split(command)[1:]
    names = words[:2] if words[0] in {"registry", "corpus"} else words[:1]
    done = subprocess.run(
        [Path(sys.executable).with_name("moodline"), *names, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(^|\s|,){option}\b", done.stdout), option


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {line.split()[1] for line in LINES if line.startswith("make ")}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_and_pictures_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) >= 3
    for target in targets:
        assert (ROOT / target).exists(), target
