"""A release has one number: pyproject's, the changelog's, and every deployed image's."""

import re
import tomllib

import yaml

from tests.infra.conftest import ROOT, Documents
from tests.infra.manifests import containers

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_changelog_s_newest_release_is_this_one() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "changelog.md").read_text(), re.MULTILINE)
    releases = [heading for heading in headings if heading != "Unreleased"]
    assert headings[0] in ("Unreleased", VERSION)
    assert releases[0] == VERSION
    assert len(set(headings)) == len(headings)


def test_manifests_and_compose_name_the_release(documents: Documents) -> None:
    compose = yaml.safe_load((ROOT / "infra" / "compose" / "compose.yaml").read_text())["services"]
    images = [container["image"] for _, container in containers(documents)]
    images += [service["image"] for service in compose.values()]
    ours = {image for image in images if image.startswith("moodline/")}
    assert len(ours) >= 3
    assert {image.partition(":")[2] for image in ours} == {VERSION}


def test_the_build_tags_images_with_the_release() -> None:
    tags = re.search(r"^TAGS = ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tags is not None
    assert "code_digest()" in tags[1]
    assert 'version("moodline")' in tags[1]
