"""Whoever cannot see well, use a mouse, or has a small screen; and who needs a key."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from serving.keys import add_key
from serving.lineup import Lineup, Served, write_pointer
from tests.serving.helpers import start_log_service
from tests.serving.page import made
from tests.serving.page.conftest import Kept, until
from tests.serving.page.test_shown import give_sound

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

VIEWS = ("transcript", "speakers", "review", "compare", "exports")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # what is right is not described node by node
}


def faults(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]


def scrolls_sideways(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_no_rule_of_access_is_broken(
    scheme: Literal["light", "dark"], width: int, browser: Browser, kept: Kept
) -> None:
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 800},
        bypass_csp=True,  # for axe-core, which is put into the page
    )  # fmt: skip
    page = context.new_page()
    page.goto(kept.url)
    page.wait_for_selector("#start:not([hidden])")
    found = [(view, fault) for view, fault in (("start", fault) for fault in faults(page))]
    page.goto(kept.keep(6, 30.0))
    page.wait_for_selector("#conversation:not([hidden])")
    for view in VIEWS:
        page.click(f"#tab-{view}")
        found += [(view, fault) for fault in faults(page)]
        assert not scrolls_sideways(page), view
    page.click("#tab-transcript")
    page.locator("#turns .label").first.click()
    found += [("menu", fault) for fault in faults(page)]
    context.close()
    assert found == []


def focused(page: Page) -> str:
    """What has the focus: its id, or its class and its row."""
    script = """() => { const e = document.activeElement, row = e.closest("li[data-index]");
        return e.id || (row ? `${e.className.split(" ")[0]} ${row.dataset.index}` : e.tagName); }"""
    found: str = page.evaluate(script)
    return found


def tab_to(page: Page, wanted: str) -> None:
    """Press the tabulator until something has the focus."""
    passed = []
    for _ in range(40):
        page.keyboard.press("Tab")
        passed.append(focused(page))
        if passed[-1] == wanted:
            return
    raise AssertionError(f"{wanted} is not reached: {passed}")


def test_all_of_it_works_by_the_keyboard(opened: Callable[..., Page]) -> None:
    page = opened(6, 30.0)
    give_sound(page, 30)
    tab_to(page, "tab-transcript")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "tab-speakers"
    assert page.is_visible("#view-speakers")
    page.keyboard.press("End")
    assert page.is_visible("#view-exports")
    page.keyboard.press("Home")
    tab_to(page, "time 0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "time 2"
    page.keyboard.press("Enter")
    page.wait_for_selector("#turns li:nth-child(3).on")
    page.keyboard.press("p")
    until(page, "document.getElementById('audio').paused")
    tab_to(page, "label 2")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.getAttribute('role') === 'menuitemradio'")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('counted').textContent.startsWith('1 turn')")
    assert focused(page) == "label 2"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert focused(page) == "label 2"
    page.keyboard.press("?")
    assert page.is_visible("#help-dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert focused(page) == "search"


def test_it_asks_no_other_host(page: Page, kept: Kept) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(kept.keep(6, 30.0))
    page.wait_for_selector("#conversation:not([hidden])")
    give_sound(page, 30)
    assert len(asked) > 15
    own = (kept.url, f"blob:{kept.url}", "data:")
    assert [url for url in asked if not url.startswith(own)] == []


@pytest.fixture
def locked(models: dict[int, Path], tmp_path: Path) -> Iterator[tuple[Kept, str]]:
    """A service that asks for keys, and a key."""
    write_pointer(tmp_path / "served.json", Lineup({"production": Served(3, models[3])}))
    key = add_key(tmp_path / "keys.txt", "kim")
    more: dict[str, Any] = {"MOODLINE_SERVE_KEYS": str(tmp_path / "keys.txt")}
    pointer = str(tmp_path / "served.json")
    child, url = start_log_service(tmp_path, MOODLINE_SERVE_POINTER=pointer, **more)
    yield Kept(url, tmp_path), key
    child.kill()
    child.wait()


def test_a_key_is_asked_for_once_and_kept_for_the_tab(locked: tuple[Kept, str], page: Page) -> None:
    service, key = locked
    id = made.keep(service.home, made.answer(6, 30.0), owner="kim")
    page.goto(f"{service.url}/#job={id}")
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", "a wrong one")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('key-why').textContent.includes('does not know that key')")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#conversation:not([hidden])")
    page.reload()
    page.wait_for_selector("#conversation:not([hidden])")
    other = page.context.new_page()
    other.goto(f"{service.url}/#job={id}")
    other.wait_for_selector("#key-dialog[open]")
    assert key not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
    other.click("#key-cancel")
    other.click("#record")
    other.wait_for_selector("#live:not([hidden])")
    other.wait_for_selector("#key-dialog[open]")
    other.fill("#key", key)
    other.keyboard.press("Enter")
    told = "There is no connection: the speech models are still being loaded"  # they never are
    until(other, f"document.getElementById('live-state').textContent.includes('{told}')")


def test_an_open_page_hears_of_a_newer_version(
    opened: Callable[..., Page], kept: Kept, models: dict[int, Path]
) -> None:
    page, pointer = opened(3, 12.0), kept.home / "served.json"
    write_pointer(pointer, Lineup({"production": Served(4, models[4])}))
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        said = "document.getElementById('said').textContent"
        until(
            page,
            f"{said}.includes('Version 4 answers now; this conversation was read by version 3')",
        )
    finally:
        write_pointer(pointer, Lineup({"production": Served(3, models[3])}))


def test_an_open_page_hears_of_a_newer_one(opened: Callable[..., Page]) -> None:
    page = opened(3, 12.0)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    assert page.is_hidden("#renewed")
    page.route("**/", lambda route: route.fulfill(headers={"X-Moodline-Page": "0123456789abcdef"}))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("#renewed:not([hidden])")
    assert page.is_visible("#conversation"), "what is seen is kept"
