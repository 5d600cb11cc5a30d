"""Pages of other sites cannot use the service in their visitors' browsers."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.api.app import create_app
from serving.keys import Keys, add_key
from serving.settings import ServeSettings

HERE = "127.0.0.1:3000"


def status(client: TestClient, path: str = "/v1/feedback", **headers: str) -> int:
    """404 or 422: the request came through; 403: it did not."""
    sent = {name.replace("_", "-"): value for name, value in {"host": HERE, **headers}.items()}
    if path == "/v1/feedback":
        return client.post(path, content=b"", headers=sent).status_code
    return client.get(path, headers=sent).status_code


@pytest.fixture
def client() -> TestClient:
    app = create_app(1_000_000, 1)
    app.state.hosts = ServeSettings(hosts="moodline.example, Other.Example").host_names
    return TestClient(app)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:3000",
            "10.1.2.3:80",
            "[::1]:3000",
            "localhost",
            "LOCALHOST:3000",
        ),
        *("moodline.example", "Moodline.example:8443", "other.example", "moodline.example."),
    ],
)
def test_names_that_nobody_else_can_lead_here(client: TestClient, host: str) -> None:
    assert status(client, host=host) == 422


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "x@y", "", "1"],
)
def test_names_that_somebody_leads_here(client: TestClient, host: str) -> None:
    assert status(client, host=host) == 403
    assert status(client, "/", host=host) == 403
    assert status(client, "/v1/jobs/a", host=host) == 403


def test_who_has_a_key_may_use_any_name(client: TestClient, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys", "web")
    client.app.state.keys = Keys(tmp_path / "keys")  # type: ignore[attr-defined]
    assert status(client, host="evil.example", authorization=f"Bearer {key}") == 422
    assert status(client, host="evil.example") == 401
    refused = status(client, sec_fetch_site="cross-site", authorization=f"Bearer {key}")
    assert refused == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 422),
        ({"origin": f"http://{HERE}"}, 422),
        ({"origin": "https://moodline.example"}, 422),
        ({"origin": "https://proxy.example", "sec-fetch-site": "same-origin"}, 422),
        ({"sec-fetch-site": "none"}, 422),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": f"http://{HERE}"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
    ],
)
def test_what_a_browser_says_about_the_page(
    client: TestClient, headers: dict[str, str], expected: int
) -> None:
    assert status(client, **headers) == expected


def test_a_link_to_the_page_is_followed_and_what_embeds_it_is_not(client: TestClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert [status(client, path, **link) for path in ("/", "/docs")] == [200, 200]
    assert status(client, "/", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert status(client, "/v1/jobs/a", **link) == 403
    assert client.get("/v1/jobs/a", headers=link | {"host": HERE}).json().keys() == {"detail"}


def test_the_pages_policies(client: TestClient) -> None:
    for path in ("/", "/docs"):
        shown = client.get(path, headers={"host": HERE})
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert shown.headers["x-frame-options"] == "DENY"
        assert shown.headers["x-content-type-options"] == "nosniff"
    scripts = re.findall("<script>(.*?)</script>", shown.text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert not re.search(r"\son\w+=", shown.text), "inline handlers would not run"
