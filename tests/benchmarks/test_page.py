"""The page at `/`: what it weighs, how soon it is there, an hour of 1,500 turns."""

import statistics

from playwright.sync_api import Browser, Request
from pytest_benchmark.fixture import BenchmarkFixture

from tests.serving.conftest import models
from tests.serving.page.conftest import Kept, browser, kept, until

__all__ = ["browser", "kept", "models"]  # fixtures

TURNS, SECONDS = 1_500, 3_600.0
FRAMES = 120
MOST_BYTES = 500_000

FIRST_VIEW = "performance.getEntriesByName('first-contentful-paint')[0].startTime"

SCROLLED = """async (frames) => {
  const list = document.getElementById("turns"), bar = document.getElementById("scrollbar");
  const took = [];
  let last = performance.now();
  for (let n = 0; n < frames; n += 1) {
    list.scrollTop += 90;
    bar.scrollLeft += 120;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    took.push(now - last);
    last = now;
  }
  return took;
}"""


def test_the_page(benchmark: BenchmarkFixture, kept: Kept, browser: Browser) -> None:
    """Bytes that are sent; milliseconds to the first view; an hour drawn, and scrolled through."""
    first = []
    for _ in range(5):
        tab = browser.new_page()
        requests: list[Request] = []
        tab.on("requestfinished", requests.append)
        tab.goto(kept.url)
        tab.wait_for_selector("#start:not([hidden])")
        first.append(tab.evaluate(FIRST_VIEW))
        weight = sum(request.sizes()["responseBodySize"] for request in requests)
        tab.close()
    tab = browser.new_page()
    tab.goto(kept.url)
    address = kept.keep(TURNS, SECONDS)

    def open_an_hour() -> None:
        tab.goto("about:blank")
        tab.goto(address)
        until(tab, f"document.getElementById('lanes').dataset.drawn === '{TURNS}'")

    benchmark.pedantic(open_an_hour, rounds=3)
    for _ in range(7):
        tab.click("#in")
    frames = sorted(tab.evaluate(SCROLLED, FRAMES))
    late = frames[int(0.95 * FRAMES)]
    print(
        f"\nThe page: {weight:,} bytes are sent, first view after {statistics.median(first):.0f} ms"
        f" (median of {len(first)}); an hour with {TURNS:,} turns asked for and drawn in"
        f" {benchmark.stats['median']:.2f} s; scrolling, a frame takes"
        f" {statistics.median(frames):.0f} ms at the median, {late:.0f} at 95 %"
    )
    assert weight < MOST_BYTES
