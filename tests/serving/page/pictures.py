"""The pictures of the page in `docs/`, of an invented conversation: `make pictures`."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from components.conversation import DEFAULT_LABELS
from serving.keys import add_key
from serving.lineup import Lineup, Served, write_pointer
from tests.serving.conftest import tiny_model
from tests.serving.helpers import start_log_service
from tests.serving.page import made
from tests.serving.page.conftest import until
from tests.serving.registry import make_registry

DOCS = Path(__file__).resolve().parents[3] / "docs"

SAID = (
    (0, 4.2, "neutral", 0.91, "Good morning, service desk, how can I help you?"),
    (1, 5.6, "angry", 0.83, "My heating has been off since Friday and nobody calls me back."),
    (0, 3.1, "sad", 0.47, "Oh. I am really sorry to hear that."),
    (1, 2.8, "angry", 0.88, "Sorry does not warm the flat!"),
    (0, 6.3, "neutral", 0.79, "You are right. Let me see. There is a technician near you at two."),
    (1, 1.9, "happy", 0.44, "Today? At two?"),
    (0, 2.2, "neutral", 0.86, "Today at two, I promise."),
    (1, 3.4, "happy", 0.93, "That is wonderful, thank you so much!"),
)  # fmt: skip


def conversation() -> dict[str, object]:
    """Two speakers; one turn begins before the other one has ended."""
    dice, start = np.random.default_rng(5), 0.6
    turns, words = [], []
    loudness = np.full(640, 0.03)
    for number, (speaker, length, emotion, sure, text) in enumerate(SAID):
        end, name = start + length, f"SPEAKER_{speaker:02d}"
        rest = (1 - sure) / (len(DEFAULT_LABELS) - 1)
        shares = {label: sure if label == emotion else rest for label in DEFAULT_LABELS}
        turns.append(
            {"session_id": "service_desk", "start_time": start, "end_time": end, "speaker": name,
             "words": text, "emotion": emotion, "confidence": sure, "probabilities": shares,
             "speaker_confidence": 0.55 if number == 5 else 0.98}
        )  # fmt: skip
        spoken = text.split()
        for place, word in enumerate(spoken):
            at = start + length * place / len(spoken)
            score = 0.4 if word == "technician" else 0.95
            ends = at + length / len(spoken)
            words.append({"word": word, "start": at, "end": ends, "score": score, "speaker": name})
        span = slice(int(start * 20), int(end * 20))
        loudness[span] = dice.gamma(3, 0.12, span.stop - span.start).clip(0.05, 0.95)
        start = end + (-0.4 if number == 2 else 0.3)
    peaks = [round(100 * value) for value in loudness]
    return {
        "model": {"name": "moodline", "version": "3", "labels": list(DEFAULT_LABELS)},
        "duration": 32.0, "language": "en", "turns": turns, "words": words, "unaligned": [],
        "waveform": {"per_second": 20, "peaks": peaks},
    }  # fmt: skip


@contextmanager
def serving(home: Path, lineup: Lineup, **more: str) -> Iterator[str]:
    """A service of that home, and its address."""
    write_pointer(home / "served.json", lineup)
    pointer = str(home / "served.json")
    child, url = start_log_service(home, MOODLINE_SERVE_POINTER=pointer, **more)
    try:
        yield url
    finally:
        child.kill()
        child.wait()


def listening(browser: Browser, home: Path) -> None:
    """`/`, with a conversation that plays."""
    lineup = Lineup({"production": Served(3, tiny_model(home / "model", seed=3))})
    with serving(home, lineup) as url:
        page = browser.new_page(viewport={"width": 1000, "height": 985})
        page.goto(f"{url}/#job={made.keep(home, conversation(), 'service_desk')}")
        page.wait_for_selector("#conversation:not([hidden])")
        file = {"name": "a.wav", "mimeType": "audio/wav", "buffer": made.sound(32)}
        page.set_input_files("#refile", files=[file])  # type: ignore[list-item]
        page.evaluate("document.getElementById('follow').click()")
        page.evaluate("document.getElementById('audio').muted = true")
        page.locator("#turns li").nth(4).locator(".time").click()
        page.wait_for_selector("#turns li:nth-child(5) .words .now")
        page.wait_for_timeout(1_500)
        page.click("#play")
        until(page, "document.getElementById('counted').textContent !== ''")
        page.evaluate("document.getElementById('said').remove()")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=DOCS / "page.png")


def operating(browser: Browser, home: Path) -> None:
    """`/operations`, as an operator sees it: a version on trial, one that passed and one that did
    not."""
    registry = make_registry(home, "pass", "pass", "fail")
    models = [Served(n, tiny_model(home / f"model-{n}", seed=n)) for n in (1, 2)]
    key = add_key(home / "keys.txt", "kim", operator=True)
    made.keep(home, conversation(), "service_desk", owner="kim")
    lineup = Lineup(dict(zip(("production", "staging"), models, strict=True)))
    more = {
        "MOODLINE_SERVE_KEYS": str(home / "keys.txt"),
        "MOODLINE_MLFLOW_URI": registry.mlflow_uri,
    }
    with serving(home, lineup, **more) as url:
        page = browser.new_page(viewport={"width": 1000, "height": 1390})
        page.goto(f"{url}/operations")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#versions table", timeout=60_000)
        until(page, "document.querySelectorAll('#live li').length >= 8", 60)
        page.screenshot(path=DOCS / "operations.png")


def main() -> None:
    """Write them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for draw in (listening, operating):
            with tempfile.TemporaryDirectory() as home:
                draw(browser, Path(home))
        browser.close()


if __name__ == "__main__":
    main()
