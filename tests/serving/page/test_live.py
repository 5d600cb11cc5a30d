"""Speaking live: turns appear as one speaks, and nothing that was said is lost."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from websockets.sync.client import ClientConnection, connect

from components.conversation import SAMPLE_RATE
from serving.supervisor.serve import Serving
from tests.serving.page.conftest import until
from tests.serving.page.relay import Relay, relayed
from tests.serving.page.test_access import faults, scrolls_sideways
from tests.serving.page.test_listening import DONE, job_of
from tests.serving.page.test_shown import rows

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]

LABELLED = "#live-turns li:not(.waiting)"


def speak(page: Page, url: str) -> None:
    """Open the page, and the microphone."""
    page.goto(url)
    page.click("#record")
    page.wait_for_selector("#live:not([hidden])")


def state(page: Page, told: str, seconds: float = 20) -> None:
    """Wait until the live view says something."""
    until(page, f"document.getElementById('live-state').textContent.includes('{told}')", seconds)


def spoken(page: Page) -> int:
    """How many seconds were spoken."""
    minutes, seconds = page.inner_text("#live-clock").split(":")
    return 60 * int(minutes) + int(seconds)


def call_of(page: Page) -> Callable[[], str]:
    """Tells the id of the call that was begun or goes on last, as the service gave it."""
    ids: list[str] = []

    def received(frame: str | bytes) -> None:
        told = json.loads(frame)
        if told["type"] == "ready":
            ids.append(told["id"])

    page.on("websocket", lambda socket: socket.on("framereceived", received))
    return lambda: ids[-1]


def address(service: Serving) -> str:
    return f"{service.url.replace('http', 'ws')}/v1/live"


def forget(call: ClientConnection) -> None:
    """End a call, of which nothing is kept."""
    call.send('{"type": "forget"}')
    for _ in call:  # until the service closes the connection
        pass


def take_over(service: Serving, id: str) -> float:
    """Go on with a call by another connection, and end it; the seconds of its sound that were
    there."""
    with connect(address(service)) as other:
        other.send(json.dumps({"type": "start", "id": id}))
        ready = json.loads(other.recv())
        forget(other)
    return float(ready["samples"] / SAMPLE_RATE)


def all_arrived(page: Page, service: Serving, job: str) -> None:
    """The recording that the page plays is as long as the one that the service heard."""
    heard = page.evaluate("document.getElementById('audio').duration")
    duration = httpx.get(f"{service.url}/v1/jobs/{job}").json()["result"]["duration"]
    assert heard == pytest.approx(duration, abs=0.01)
    assert heard > 3


def test_turns_appear_as_one_speaks_and_the_conversation_opens(
    page: Page, service: Serving
) -> None:
    speak(page, service.url)
    page.wait_for_selector(LABELLED, timeout=DONE)
    first = page.locator(LABELLED).first
    assert first.locator(".words").inner_text()
    assert re.fullmatch(r"Speaker 1\??", first.locator(".who").inner_text())
    label = first.locator(".label")
    assert re.fullmatch(r"(angry|happy|neutral|sad)\?? \d+ %", label.text_content() or "")
    assert label.locator(".dot").evaluate("dot => dot.style.getPropertyValue('--hue')")
    assert first.locator(".words").inner_text().split()[0] in page.inner_text("#live-said")
    assert page.inner_text("#level-word") in ("quiet", "well heard")
    page.focus("#finish")
    page.keyboard.press("Enter")
    id = job_of(page)
    page.wait_for_selector("#conversation:not([hidden])", timeout=DONE)
    result = httpx.get(f"{service.url}/v1/jobs/{id}").json()["result"]
    assert [row[2] for row in rows(page)] == [turn["words"] for turn in result["turns"]]
    assert result["turns"]
    assert result["waveform"]["peaks"]
    assert page.is_hidden("#silent")
    assert page.inner_text("#name").startswith("recording")
    all_arrived(page, service, id)


def test_no_rule_of_access_is_broken_while_one_speaks_nor_where_it_goes_on_elsewhere(
    browser: Browser, service: Serving
) -> None:
    context = browser.new_context(
        bypass_csp=True,  # for axe-core, which is put into the page
        viewport={"width": 360, "height": 800}, color_scheme="dark",
    )  # fmt: skip
    with closing(context):
        page = context.new_page()
        id = call_of(page)
        speak(page, service.url)
        page.wait_for_selector(LABELLED, timeout=DONE)
        assert faults(page) == []
        assert not scrolls_sideways(page)
        take_over(service, id())
        state(page, "goes on in another connection. Nothing is lost")
        page.click("#live-stop")
        page.wait_for_selector("#start:not([hidden])")
        assert page.inner_text("#said") == "It was deleted."


@pytest.fixture
def relay(service: Serving) -> Iterator[Relay]:
    """The service, by way of a network that can be cut."""
    with relayed(service.url) as made:
        yield made


def test_a_call_goes_on_after_a_lost_connection(page: Page, relay: Relay, service: Serving) -> None:
    id = call_of(page)
    speak(page, relay.url)
    page.wait_for_selector(LABELLED, timeout=DONE)
    first = id()
    relay.cut()
    state(page, "There is no connection")
    assert "Go on speaking" in page.inner_text("#live-state")
    page.wait_for_timeout(1_500)
    relay.mend()
    state(page, "Live.")
    assert id() == first, "it is the same call"
    page.click("#finish")
    job = job_of(page)
    page.wait_for_selector("#conversation:not([hidden])", timeout=DONE)
    all_arrived(page, service, job)


def test_a_call_that_the_service_has_lost_begins_again(
    page: Page, relay: Relay, service: Serving
) -> None:
    id = call_of(page)
    speak(page, relay.url)
    page.wait_for_selector(LABELLED, timeout=DONE)
    relay.cut()
    take_over(service, id())
    relay.mend()
    page.evaluate("dispatchEvent(new Event('online'))")  # it waits no longer
    until(page, "document.getElementById('said').textContent.includes('has lost this call')")
    page.wait_for_selector(LABELLED, timeout=DONE)
    said = spoken(page)
    assert take_over(service, id()) > said - 1, "all of it was sent again"
    page.click("#live-stop")
    page.wait_for_selector("#start:not([hidden])")


@pytest.fixture
def full(service: Serving) -> Iterator[None]:
    """The service while as many live calls go on as may."""
    with ExitStack() as calls:
        while True:
            call = calls.enter_context(connect(address(service)))
            call.send('{"type": "start"}')
            if json.loads(call.recv())["type"] != "ready":
                break
            calls.callback(forget, call)
        yield


def test_where_all_places_are_taken_it_is_recorded_and_sent(
    full: None, page: Page, service: Serving
) -> None:
    speak(page, service.url)
    state(page, "Nothing is lost: go on speaking")
    assert "places for live calls are taken" in page.inner_text("#live-state")
    until(page, "document.getElementById('live-clock').textContent >= '0:06'")
    page.click("text=Finish and send it")
    page.wait_for_selector("#conversation:not([hidden])", timeout=DONE)
    assert rows(page)
    assert page.is_hidden("#silent")


REFUSING = """navigator.mediaDevices.getUserMedia =
    () => Promise.reject(new DOMException("no", "NotAllowedError"))"""


def test_who_refuses_the_microphone_is_told_what_to_do(page: Page, service: Serving) -> None:
    page.add_init_script(REFUSING)
    page.goto(service.url)
    page.click("#record")
    page.wait_for_selector("#problem:not([hidden])")
    assert "may not use the microphone" in page.inner_text("#problem")
    assert "Allow it" in page.inner_text("#problem")
    assert page.is_visible("#form") and page.is_enabled("#record")


TONES = """async ([rate, tone]) => {
    const context = new OfflineAudioContext(1, rate, rate);
    const main = document.querySelector("script[type=module]").src;
    await context.audioWorklet.addModule(main.replace("main.js", "recorder.js"));
    const source = new OscillatorNode(context, { frequency: tone });
    const recorder = new AudioWorkletNode(context, "recorder"), heard = [];
    const last = new Promise((resolve) => recorder.port.onmessage = ({ data }) => {
        heard.push(...data.sound);
        if (data.last) resolve();
    });
    source.connect(recorder).connect(context.destination);
    source.start();
    await context.startRendering();
    recorder.port.postMessage("stop");
    await last;
    return heard;
}"""


@pytest.mark.parametrize("rate", [44_100, 48_000, 8_000, 16_000])
def test_a_device_of_another_rate_is_heard_alike(page: Page, service: Serving, rate: int) -> None:
    page.goto(service.url)
    heard = np.array(page.evaluate(TONES, [rate, 1_000])) / 32_768
    assert abs(len(heard) - 16_000) < 200
    middle = heard[1_000:15_000]
    times = np.arange(len(middle)) / 16_000
    waves = np.stack([np.sin(2 * np.pi * 1_000 * times), np.cos(2 * np.pi * 1_000 * times)])
    fitted = np.linalg.lstsq(waves.T, middle, rcond=None)[0]
    assert np.hypot(*fitted) == pytest.approx(1, abs=0.01)
    assert np.abs(middle - fitted @ waves).max() < 0.01
    if rate > 32_000:
        above = np.array(page.evaluate(TONES, [rate, 12_000])) / 32_768
        assert np.abs(above[1_000:15_000]).max() < 0.01, "what 16 kHz cannot hold is not heard"
