"""From a recording to its turns, by the whole service: sent, watched, reloaded, refused."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from serving.api.job_store import JobStore, new_id
from serving.database import ServiceDatabase
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from tests.serving.page.conftest import until
from tests.serving.page.test_shown import rows

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]

DONE = 120_000
"""Milliseconds that a busy machine may need for half a minute of speech."""


@pytest.fixture
def start(page: Page, service: Serving) -> Page:
    """The page as one comes to it."""
    page.goto(service.url)
    page.wait_for_selector("#start:not([hidden])")
    return page


def send(page: Page, content: bytes, name: str = "a call.wav") -> None:
    """Choose a file, and press the button."""
    file: Any = {"name": name, "mimeType": "audio/wav", "buffer": content}
    page.set_input_files("#file", files=[file])
    page.click("#go")


def job_of(page: Page) -> str:
    until(page, "location.hash.includes('job=')", 60)
    return page.url.partition("job=")[2]


def test_a_recording_is_sent_watched_reloaded_heard_and_shown(
    start: Page, service: Serving, sample: bytes
) -> None:
    start.fill("#speakers", "2")
    send(start, sample)
    id = job_of(start)
    until(
        start,
        "['transcribe', 'diarize'].includes(document.getElementById('work').dataset.stage)",
        90,
    )
    assert start.locator("#stages [aria-current=step]").count() == 1
    assert start.locator("#stages [data-state=done]").count() >= 2
    start.reload()
    start.wait_for_selector("#work:not([hidden])")
    start.wait_for_selector("#conversation:not([hidden])", timeout=DONE)
    result = httpx.get(f"{service.url}/v1/jobs/{id}").json()["result"]
    shown = rows(start)
    assert [row[2] for row in shown] == [turn["words"] for turn in result["turns"]]
    assert [row[3].split()[0].strip("?") for row in shown] == [
        t["emotion"] for t in result["turns"]
    ]
    assert len(shown) > 3
    assert len(result["waveform"]["peaks"]) == 600
    assert "a_call" in start.inner_text("#name")
    assert start.is_hidden("#silent"), "its sound outlived the reload"
    start.locator("#turns li").nth(2).locator(".time").click()
    start.wait_for_selector("#turns li:nth-child(3).on .words .now")
    start.click("#tab-compare")
    assert start.locator("#view-compare ol").first.locator("li").count() == len(result["unaligned"])
    start.click("#forget")
    start.wait_for_selector("#start:not([hidden])")
    assert httpx.get(f"{service.url}/v1/jobs/{id}").status_code == 404


def test_what_is_no_sound_is_told_and_another_file_can_be_sent(start: Page) -> None:
    send(start, b"these are only words", "notes.wav")
    start.wait_for_selector("#problem:not([hidden])", timeout=DONE)
    assert "not audio" in start.inner_text("#problem")
    assert start.is_visible("#form")
    assert start.is_hidden("#again")
    send(start, b"", "empty.wav")
    until(start, "document.getElementById('reason').textContent.includes('empty')")
    assert start.locator("#go").is_enabled()


def test_a_lost_connection_is_told_and_waited_for(start: Page, piece: bytes) -> None:
    send(start, piece)
    job_of(start)
    start.context.set_offline(True)
    until(start, "document.getElementById('working').textContent.includes('Asking again')")
    start.context.set_offline(False)
    start.wait_for_selector("#conversation:not([hidden])", timeout=DONE)


def test_a_connection_that_is_lost_while_it_is_sent_loses_nothing(
    start: Page, piece: bytes
) -> None:
    start.context.set_offline(True)
    send(start, piece)
    start.wait_for_selector("#problem:not([hidden])")
    assert "connection" in start.inner_text("#problem")
    start.context.set_offline(False)
    start.click("#again")
    start.wait_for_selector("#conversation:not([hidden])", timeout=DONE)


@pytest.fixture
def full(service: Serving) -> Iterator[None]:
    """The service while as many jobs wait as may."""
    home = Path(service.settings.home)
    with closing(ServiceDatabase(ServeSettings().store_url(home))) as database:
        store, ids = JobStore(database), []
        while store.add_job(id := new_id(), "", "waiting", {}, ServeSettings().jobs_waiting, False):
            ids.append(id)
        assert ids
        yield
        for id in ids:
            store.delete_job(id, "")


def test_a_full_service_says_so_and_that_one_may_try_again(
    start: Page, full: None, piece: bytes
) -> None:
    send(start, piece)
    start.wait_for_selector("#problem:not([hidden])")
    told = start.inner_text("#problem")
    assert "too many jobs are waiting" in told.lower() and "Try again in a moment" in told
    assert start.is_visible("#again")


def test_the_example_can_be_stopped_and_is_deleted(start: Page, service: Serving) -> None:
    start.click("#example")
    id = job_of(start)
    start.wait_for_selector("#work:not([hidden])")
    start.click("#stop")
    start.wait_for_selector("#start:not([hidden])")
    assert httpx.get(f"{service.url}/v1/jobs/{id}").status_code == 404
    assert start.evaluate("location.hash") == ""
