"""The page says what the settings keep of a recording; its files are served by their digest."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from components.conversation import DEFAULT_LABELS, DOUBTFUL
from components.reporting.colours import label_colours
from serving.api.app import create_app
from serving.api.page_files import FOLDER, PLACES, page_digest

ROOT = Path(__file__).resolve().parents[3]
MOST_BYTES = 500_000


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(1_000_000, 1), raise_server_exceptions=False)


def files() -> list[str]:
    scripts = [p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.suffix == ".js"]
    return [*scripts, *(path.name for path in FOLDER.glob("*.css")), "colours.css"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ON": "false"}, ["It is analysed and forgotten: nothing is kept."]),
        (
            {},
            ["Kept for 365 days: times, speaker label", "vector", "Not kept: its words and sound."],
        ),
        ({"EMBEDDING": "false", "DAYS": "7"}, ["Kept for 7 days", "measures of each turn. "]),
        (
            {"AUDIO": "true", "CONTENT_DAYS": "14"},
            ["Kept for 14 days: its sound. Not kept: its words."],
        ),
        ({"AUDIO": "true", "TEXT": "true"}, ["Kept for 30 days: its words and sound.<"]),
    ],
)
def test_it_tells_what_is_kept(
    settings: dict[str, str], told: list[str], client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MOODLINE_LOG_{name}", value)
    html = client.get("/").text
    assert [text for text in told if text not in html] == []
    assert ("nothing is kept" in html) == ("ON" in settings)
    assert "{{" not in html


def test_it_knows_no_label_and_has_colours_for_any_number_of_them(client: TestClient) -> None:
    text = "".join(client.get(f"/page/{page_digest()}/{name}").text for name in files())
    own = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.*"))
    assert [label for label in DEFAULT_LABELS if re.search(rf"\b{label}\b", own)] == []
    places = re.findall(r"--label-(\d+): light-dark\((#\w{6}), color-mix\(.*\)\);", text)
    assert [int(place) for place, _ in places] == list(range(PLACES))
    assert [colour for _, colour in places] == label_colours(PLACES), "as in the reports"
    assert f'content="{PLACES}"' in client.get("/").text


def test_it_doubts_a_speaker_where_the_reports_do(client: TestClient) -> None:
    assert f'data-speaker="{DOUBTFUL}"' in client.get("/").text


def test_its_policy_lets_nothing_run_but_its_files(client: TestClient) -> None:
    first, second = client.get("/"), client.get("/")
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    assert nonce in first.text and nonce not in second.text
    assert not re.search(
        r"<script(?![^>]*src=)|<style|\son\w+=|style=|https?://(?!www\.w3)", first.text
    )


def test_its_files_are_kept_by_browsers_until_there_are_others(client: TestClient) -> None:
    html, digest = client.get("/"), page_digest()
    assert html.headers["x-moodline-page"] == digest
    assert html.headers["cache-control"] == "no-store"
    named = re.findall(rf"page/{digest}/([\w./-]+)", html.text)
    assert {"main.js", "style.css", "colours.css"} <= set(named)
    for name in {*files(), *named}:
        file = client.get(f"/page/{digest}/{name}")
        assert file.status_code == 200, name
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["content-encoding"] == "gzip"
        plain = client.get(f"/page/{digest}/{name}", headers={"accept-encoding": "identity"})
        assert plain.content == file.content
        imported = re.findall(r'from "\./([\w./-]+)"', plain.text) if "vendor" not in name else []
        assert set(imported) <= set(files())


@pytest.mark.parametrize(
    "path", ["0123456789abcdef/main.js", "{digest}/index.html", "{digest}/../pages.py",
             "{digest}/..%2fpages.py", "{digest}/vendor/LICENSE", "{digest}/"]
)  # fmt: skip
def test_nothing_else_is_served(path: str, client: TestClient) -> None:
    assert client.get(f"/page/{path.format(digest=page_digest())}").status_code == 404


def test_it_is_light(client: TestClient) -> None:
    sent = [
        client.get("/").content,
        *(client.get(f"/page/{page_digest()}/{n}").content for n in files()),
    ]
    assert sum(len(gzip.compress(content)) for content in sent) < MOST_BYTES


def test_the_vendored_files_are_those_that_were_released() -> None:
    lines = (FOLDER / "vendor" / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines if not line.startswith("#"))
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (FOLDER / "vendor").iterdir()
        if path.name != "SHA256SUMS"
    }


def test_the_example_is_the_telephone_call(client: TestClient, sample_dir: Path) -> None:
    found = client.get(f"/page/{page_digest()}/example.wav")
    assert found.content == (sample_dir / "sample.wav").read_bytes()
