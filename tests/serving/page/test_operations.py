"""The operators' page: what it shows to whom, a refusal, a promotion, a rollback."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page

from components.config import Settings
from components.register import history
from serving.keys import add_key
from serving.lineup import Lineup, Served, write_pointer
from tests.serving.helpers import start_log_service
from tests.serving.page import made
from tests.serving.page.conftest import until
from tests.serving.page.test_access import faults, scrolls_sideways
from tests.serving.registry import make_registry

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

MARKUP = "it <img src=x onerror=\"document.title='run'\"> is better"


@dataclass(frozen=True, slots=True)
class Operated:
    """A service with a registry and keys: of an operator and of somebody else."""

    url: str
    home: Path
    kim: str
    web: str
    answers: dict[str, str]


@pytest.fixture(scope="module")
def operated(
    models: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operated]:
    """Version 1 is in production; 2 passed, and 3 failed. The service serves 3, with 4 on trial."""
    home = tmp_path_factory.mktemp("operated")
    settings = make_registry(home, "pass", "pass", "fail")
    lineup = Lineup({"production": Served(3, models[3]), "staging": Served(4, models[4])})
    write_pointer(home / "served.json", lineup)
    kim = add_key(home / "keys.txt", "kim", operator=True)
    web = add_key(home / "keys.txt", "web")
    dice = np.random.default_rng(1).uniform(-0.5, 0.5, 20 * made.RATE).astype("f4")
    answers = {
        "kim": made.keep(home, made.answer(4, 20.0), owner="kim", heard=dice),
        "web": made.keep(home, made.answer(4, 20.0), owner="web"),
    }
    child, url = start_log_service(
        home, MOODLINE_SERVE_POINTER=str(home / "served.json"),
        MOODLINE_SERVE_KEYS=str(home / "keys.txt"), MOODLINE_MLFLOW_URI=settings.mlflow_uri,
        MOODLINE_SERVE_GRAFANA_PAGE="https://grafana.example/d/moodline",
    )  # fmt: skip
    yield Operated(url, home, kim, web, answers)
    child.kill()
    child.wait()


def enter(page: Page, service: Operated, key: str) -> None:
    """Open the page and give it a key; asking MLflow for the first time takes seconds."""
    page.goto(f"{service.url}/operations")
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#versions table", timeout=60_000)


def change(page: Page, button: str, reason: str) -> None:
    page.click(button)
    page.wait_for_selector("#change-dialog[open]")
    page.fill("#reason", reason)
    page.click("#do-it")


def test_who_has_no_role_looks_only(operated: Operated, page: Page) -> None:
    enter(page, operated, operated.web)
    assert page.is_hidden("#acts")
    assert page.locator("#versions button").count() == 0
    assert "role operator" in page.inner_text("#why-not")
    assert "canary" in page.inner_text("#served") and "version 4" in page.inner_text("#served")
    assert "macro F1 is 0.43" in page.inner_text("#gate")
    assert "the first one" in page.inner_text("#history")
    assert page.get_attribute("#links a", "href") == "https://grafana.example/d/moodline"
    until(page, "document.querySelectorAll('#live li').length >= 8")


def test_who_has_no_key_is_asked_for_it_once(operated: Operated, page: Page) -> None:
    page.clock.install()
    page.goto(f"{operated.url}/operations")
    page.wait_for_selector("#key-dialog[open]")
    page.click("#key-cancel")
    page.wait_for_selector("#problem:not([hidden])")
    page.clock.fast_forward(70_000)
    page.wait_for_timeout(1_000)
    assert page.locator("#key-dialog[open]").count() == 0
    page.click("#refresh")
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", f"“{operated.web}”")  # as copied out of a text
    page.click("#key-form button")
    page.wait_for_selector("#versions table", timeout=60_000)
    assert page.is_hidden("#problem")


def test_an_operator_promotes_what_passed_and_rolls_back(operated: Operated, page: Page) -> None:
    enter(page, operated, operated.kim)
    change(page, "[aria-label='Promote… version 3']", "I want it")
    page.wait_for_selector("#refused:not([hidden])", timeout=60_000)
    assert "its verdict is fail" in page.inner_text("#refused")
    page.click("#change-cancel")
    change(page, "[aria-label='Promote… version 2']", MARKUP)
    until(page, "document.getElementById('said').textContent === 'Version 2 is in production.'", 60)
    until(page, "document.querySelector('#history tbody').rows.length === 2")
    assert MARKUP in page.inner_text("#history tbody tr:first-child")
    assert page.title() == "Moodline — operations"
    assert page.locator("#history img").count() == 0
    change(page, "#roll-back", "complaints")
    until(page, "document.getElementById('said').textContent.endsWith('in production again.')", 60)
    settings = Settings(home=operated.home, mlflow_uri=f"sqlite:///{operated.home / 'mlflow.db'}")
    told = [(entry.actor, entry.to_version, entry.reason) for entry in history(settings)]
    assert told[1:] == [("kim", 2, MARKUP), ("kim", 1, "complaints")]


def test_a_key_reviews_its_own_answers_and_hears_what_is_kept(operated: Operated) -> None:
    def ask(path: str, key: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{operated.url}/v1/operations/review{path}", headers=headers, timeout=30)

    kims, webs = ask("", operated.kim).json(), ask("", operated.web).json()
    assert {turn["request_id"] for turn in kims} == {operated.answers["kim"]}
    assert {turn["request_id"] for turn in webs} == {operated.answers["web"]}
    assert len(webs) == 4
    sure = [turn["confidence"] for turn in webs]
    assert sure == sorted(sure)
    assert {turn["has_sound"] for turn in kims} == {True}
    assert {turn["has_sound"] for turn in webs} == {False}
    path = f"/{operated.answers['kim']}/2/sound"
    turn = next(turn for turn in kims if turn["turn"] == 2)
    samples, rate = soundfile.read(io.BytesIO(ask(path, operated.kim).content))
    assert rate == made.RATE
    assert len(samples) == pytest.approx((turn["end"] - turn["start"]) * rate, abs=1)
    whole = np.random.default_rng(1).uniform(-0.5, 0.5, 20 * made.RATE)
    first = round(turn["start"] * rate)
    assert np.abs(samples - whole[first : first + len(samples)]).max() < 1e-3
    assert ask(path, operated.web).status_code == 404, "whose it is not"
    silent = ask(f"/{operated.answers['web']}/2/sound", operated.web)
    assert silent.status_code == 404 and "not kept here" in silent.json()["detail"]


def test_what_is_said_in_the_queue_is_feedback(operated: Operated, page: Page) -> None:
    enter(page, operated, operated.kim)
    page.wait_for_selector("#review li")
    assert page.locator("#review li").count() == 4
    with page.expect_response(lambda got: got.url.endswith("/sound")) as heard:
        page.locator("#review li").first.get_by_text("Play").click()
    assert heard.value.status == 200
    page.locator("#review li").first.get_by_text("sad").click()
    until(page, "document.querySelectorAll('#review li').length === 3")
    headers = {"Authorization": f"Bearer {operated.kim}"}
    address = f"{operated.url}/v1/feedback/{operated.answers['kim']}"
    (said,) = httpx.get(address, headers=headers).json()
    assert said["emotion"] == "sad"
    left = httpx.get(f"{operated.url}/v1/operations/review", headers=headers).json()
    assert said["turn"] not in [turn["turn"] for turn in left] and len(left) == 3


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_no_rule_of_access_is_broken(
    scheme: Literal["light", "dark"], width: int, browser: Browser, operated: Operated
) -> None:
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 800},
        bypass_csp=True,  # for axe-core, which is put into the page
    )  # fmt: skip
    page = context.new_page()
    page.set_default_timeout(20_000)
    enter(page, operated, operated.kim)
    until(page, "document.querySelectorAll('#live li').length >= 8")
    found = faults(page)
    assert not scrolls_sideways(page)
    page.click("#roll-back")
    found += faults(page)
    context.close()
    assert found == []
