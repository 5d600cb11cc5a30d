"""What the README and its pages tell people to type exists; their links lead somewhere."""

import re
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.main import app, run
from serving.engine.prediction_log import LogSettings
from serving.settings import HostSettings, ServeSettings, TrafficSettings

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "components", "pipelines", "serving", "infra")
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *(p for name in FOLDERS for p in (ROOT / name).rglob("*.md")))
}
LINES = [
    line.split(" #")[0].split("  (")[0].strip()
    for page in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for line in block.splitlines()
]
GROUPS = {group.name for group in app.registered_groups}
"""Commands that have commands of their own."""

OPTIONS: dict[tuple[str, ...], set[str]] = defaultdict(set)
for line in LINES:
    if re.match(r"(\.venv/bin/)?moodline ", line):
        words = shlex.split(line)[1:]
        names = tuple(words[:2] if words[0] in GROUPS else words[:1])
        OPTIONS[names] |= {word for word in words if word.startswith("-")}


def test_there_are_commands() -> None:
    assert len(PAGES) >= 12
    assert len(OPTIONS) >= 15
    assert "make demo" in LINES
    assert "make test" in LINES


@pytest.mark.parametrize("names", sorted(OPTIONS), ids=" ".join)
def test_a_command_and_its_options_exist(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*names, "--help"]) == 0
    told = capsys.readouterr().out
    for option in OPTIONS[names]:
        assert re.search(rf"(^|\s|,){option}\b", told), option


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {line.split()[1] for line in LINES if line.startswith("make ")}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGES[page]):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    ("settings", "page", "internal"),
    [
        (ServeSettings, "docs/operating.md", {"profile", "pointer", "first"}),
        (TrafficSettings, "docs/operating.md", set()),
        (HostSettings, "docs/operating.md", set()),
        (LogSettings, "components/traffic/README.md", set()),
    ],
)
def test_every_setting_is_in_its_page(settings: Any, page: str, internal: set[str]) -> None:
    text = PAGES[ROOT / page]
    table = text[text.index(f"`{settings.model_config['env_prefix']}…`") :]
    named = set(re.findall(r"`([A-Z_]+)`", table))
    assert {name.upper() for name in settings.model_fields.keys() - internal} <= named
