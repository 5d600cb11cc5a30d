"""Pages of other sites cannot use the service in their visitors' browsers."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from components.base import InputError
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


@pytest.mark.parametrize(
    ("headers", "with_key", "without"),
    [
        ({"origin": "https://app.example"}, 422, 401),
        ({"origin": "https://app.example", "sec-fetch-site": "same-site"}, 422, 401),
        ({"origin": "null"}, 422, 401),
        ({"sec-fetch-site": "cross-site"}, 403, 401),
    ],
)
def test_a_key_protects_by_itself_but_from_what_a_browser_calls_another_site(
    client: TestClient, tmp_path: Path, headers: dict[str, str], with_key: int, without: int
) -> None:
    """A gateway that adds a key to every request must not add it for other sites' pages."""
    key = add_key(tmp_path / "keys", "web")
    client.app.state.keys = Keys(tmp_path / "keys")  # type: ignore[attr-defined]
    assert status(client, authorization=f"Bearer {key}", **headers) == with_key
    assert status(client, authorization="Bearer wrong", **headers) == without
    assert status(client, "/docs", origin="https://evil.example") == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 422),
        ({"origin": f"http://{HERE}"}, 422),
        ({"origin": "https://moodline.example"}, 422),
        ({"origin": "http://Moodline.example:8443"}, 422),
        ({"origin": "https://moodline.example.evil.example"}, 403),
        ({"origin": "chrome-extension://moodline.example"}, 403),
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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "moodline:3000", "origin": "https://proxied.example:8443"}, 422),
        ({"host": "moodline:3000", "origin": "null"}, 403),
        ({"host": "moodline:3000", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_any_name_stands_for_pages_too(
    client: TestClient, headers: dict[str, str], expected: int
) -> None:
    client.app.state.hosts = ServeSettings(hosts="*").host_names  # type: ignore[attr-defined]
    assert status(client, **headers) == expected


def test_a_refusal_names_the_setting_that_would_help(client: TestClient) -> None:
    def told(**headers: str) -> str:
        answer = client.get("/v1/jobs/a", headers={"host": HERE, **headers})
        assert answer.status_code == 403
        detail: str = answer.json()["detail"]
        return detail

    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        assert "MOODLINE_SERVE_HOSTS" in told(**headers)
    assert "MOODLINE" not in told(**{"sec-fetch-site": "cross-site"}), "none would help"


@pytest.mark.parametrize(
    "hosts",
    [
        *("https://moodline.example", "moodline.example:3000", "moodline.example.", "*.example"),
        *("moodline.example/v1", "a b", "mood..example", "-a.example", "möodline.example", "[::1]"),
        "moodline.example;other.example",
    ],
)
def test_what_is_no_host_s_name_is_refused_at_the_start(hosts: str) -> None:
    with pytest.raises(InputError, match=r"^MOODLINE_SERVE_HOSTS=.*is no host's name") as refused:
        ServeSettings(hosts=f"localhost, {hosts}")
    assert "\n" not in str(refused.value)


def test_what_is_a_host_s_name() -> None:
    hosts = "*, Moodline, my_host.svc.cluster.local, xn--mdline-yxa.example, 10.1.2.3, ::1,"
    names = {"*", "moodline", "my_host.svc.cluster.local", "xn--mdline-yxa.example"}
    assert ServeSettings(hosts=hosts).host_names == {*names, "10.1.2.3", "::1"}


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
