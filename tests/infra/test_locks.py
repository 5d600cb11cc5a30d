"""The images get the versions of requirements.lock, and every package that the project needs."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pins(lock: Path) -> set[str]:
    """Each `name==version` of a lock."""
    return set(re.findall(r"^[a-z0-9][^\s;]*", lock.read_text(encoding="utf-8"), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    """The packages' names, as locks spell them."""
    spelled = (re.split(r"[\s\[=<>;]", line)[0] for line in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in spelled if name}


@pytest.mark.parametrize("name", ["images", "slim"])
def test_images_hold_the_versions_of_the_project(name: str) -> None:
    lock = pins(ROOT / "infra/locks" / f"{name}.lock")
    assert len(lock) > 100
    assert lock <= pins(ROOT / "requirements.lock")


def test_images_hold_every_package_that_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = pins(ROOT / "infra/locks/images.lock")
    assert names(project["dependencies"]) <= {pin.partition("==")[0] for pin in lock}
