"""A real browser, Debian's Chromium; and a service without speech models that has conversations."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile
import soxr
from playwright.sync_api import Browser, Page, sync_playwright

from components.conversation import SAMPLE_RATE, read_audio
from serving.lineup import Lineup, Served, write_pointer
from tests.serving.helpers import start_log_service
from tests.serving.page import made

MICROPHONE = "microphone.wav"

SPOKEN = 15.0
"""Seconds until what is spoken into the microphone begins again."""

DEVICE_RATE = 48_000
"""Of the microphone, Hz."""


@pytest.fixture(scope="module")  # while it is open, nobody else in this process has an event loop
def browser(tmp_path_factory: pytest.TempPathFactory, demo_corpus: Path) -> Iterator[Browser]:
    """Chromium, into whose microphone synthetic people speak some turns, again and again."""
    found = shutil.which("chromium")
    assert found, "chromium is not there: bash infra/setup/system.sh installs it"
    folder = tmp_path_factory.mktemp("browser")
    dialogue = demo_corpus / "Session1" / "dialog" / "wav" / "Ses01F_impro01.ogg"
    speech = soxr.resample(read_audio(dialogue, 0, SPOKEN), SAMPLE_RATE, DEVICE_RATE)
    soundfile.write(folder / MICROPHONE, speech, DEVICE_RATE, subtype="PCM_16")
    arguments = [
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / MICROPHONE}", "--disable-gpu",
        "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage",
    ]  # fmt: skip
    if os.getuid() == 0:
        arguments.append("--no-sandbox")  # its sandbox refuses root
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab of its own, which fails the test where the page threw or a policy refused."""
    context = browser.new_context(accept_downloads=True, reduced_motion="reduce")
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda told: faults.extend(_refused(told.text)))
    opened.set_default_timeout(20_000)
    yield opened
    context.close()
    assert faults == []


def until(page: Page, holds: str, seconds: float = 20) -> None:
    """Wait until an expression is true in the page, whose policy lets no string be evaluated."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(holds):
        assert time.monotonic() < deadline, f"it never held: {holds}"
        page.wait_for_timeout(50)


def _refused(told: str) -> list[str]:
    return [told] if "Content Security Policy" in told else []


@dataclass(frozen=True, slots=True)
class Kept:
    """A running service, and its home."""

    url: str
    home: Path

    def keep(self, *about: Any, **more: Any) -> str:
        """The address of a conversation that was analysed; arguments as of `made.answer`."""
        return f"{self.url}/#job={made.keep(self.home, made.answer(*about, **more))}"


@pytest.fixture(scope="session")
def kept(models: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A service without speech models and without a Triton; version 3 is in production."""
    home = tmp_path_factory.mktemp("kept")
    write_pointer(home / "served.json", Lineup({"production": Served(3, models[3])}))
    child, url = start_log_service(home, MOODLINE_SERVE_POINTER=str(home / "served.json"))
    yield Kept(url, home)
    child.kill()
    child.wait()


@pytest.fixture
def opened(page: Page, kept: Kept) -> Callable[..., Page]:
    """Open a conversation of some turns and seconds in the tab; more as `Kept.keep`."""

    def open_it(turns: int = 12, seconds: float = 60.0, **more: Any) -> Page:
        page.goto(kept.keep(turns, seconds, **more))
        page.wait_for_selector("#conversation:not([hidden])")
        return page

    return open_it
