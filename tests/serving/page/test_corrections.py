"""A correction is two clicks or two keys; it arrives in feedback and in the next export."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page

from components.traffic import Feedback, FeedbackStore
from tests.serving.page import made
from tests.serving.page.conftest import Kept, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

Opened = Callable[..., Page]


@pytest.fixture
def shown(opened: Opened) -> Page:
    """A conversation of twelve turns, what was said of it read."""
    page = opened(12, 60.0)
    until(page, "document.getElementById('counted').textContent !== ''")
    return page


def given(kept: Kept, page: Page) -> list[Feedback]:
    """The feedback on the conversation that a tab shows."""
    id = page.url.partition("job=")[2]
    with closing(FeedbackStore(f"sqlite:///{kept.home}/feedback.db")) as store:
        return [entry for entry in store.entries() if entry.request_id == id]


def other_label(turn: int) -> str:
    """A label that the model did not give to a turn."""
    answer = made.answer(12, 60.0)
    labels: list[str] = answer["model"]["labels"]
    return next(each for each in labels if each != answer["turns"][turn]["emotion"])


def label_of(page: Page, turn: int) -> str:
    return page.locator("#turns li").nth(turn).locator(".label").inner_text().split()[0]


def exported(page: Page, kind: str) -> str:
    page.click("#tab-exports")
    with page.expect_download() as waiting:
        page.click(f"#view-exports [data-format={kind}]")
    page.click("#tab-transcript")
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def said(page: Page, text: str) -> None:
    """Wait until the page says something."""
    until(page, f"document.getElementById('said').textContent.includes({json.dumps(text)})")


def choose(page: Page, turn: int, label: str) -> None:
    """Two clicks, and wait until the service has answered."""
    page.locator("#turns li").nth(turn).locator(".label").click()
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#menu button", has_text=label).click()


def counted(page: Page) -> tuple[int, ...]:
    """Labels and speakers corrected, and labels confirmed, since the version was trained."""
    numbers = re.findall(
        r"(\d+) (?:labels?|speakers?) |, (\d+) confirmed", page.inner_text("#counted")
    )
    return tuple(int(first or second) for first, second in numbers)


def test_two_clicks_correct_a_label_and_undo_takes_it_back(shown: Page, kept: Kept) -> None:
    right, guessed = other_label(2), made.answer(12, 60.0)["turns"][2]["emotion"]
    before = counted(shown)
    choose(shown, 2, right)
    (entry,) = given(kept, shown)
    assert (entry.turn, entry.emotion, entry.predicted) == (2, right, guessed)
    turn = json.loads(exported(shown, "json"))["turns"][2]
    assert (turn["emotion"], "confidence" in turn) == (right, False)
    assert turn["answered"]["emotion"] == guessed
    assert f"[{right}] Again?" in exported(shown, "vtt")
    assert shown.inner_text("#counted").startswith("1 turn corrected here")
    assert counted(shown) == (before[0] + 1, *before[1:])
    shown.click("#undo")
    said(shown, "undone")
    assert given(kept, shown) == []
    until(shown, "!document.getElementById('counted').textContent.includes('here')")
    assert label_of(shown, 2).strip("?") == guessed
    assert json.loads(exported(shown, "json"))["turns"][2]["emotion"] == guessed


def test_two_keys_correct_a_label_and_a_speaker(shown: Page, kept: Kept) -> None:
    shown.locator("#turns li").nth(0).locator(".time").focus()
    shown.keyboard.press("ArrowDown")
    labels = made.answer(12, 60.0)["model"]["labels"]
    right = other_label(1)
    with shown.expect_response(lambda answer: answer.request.method == "POST"):
        shown.keyboard.press(str(labels.index(right) + 1))
    said(shown, f"Turn 2: the label is {right}")
    assert [(entry.turn, entry.emotion) for entry in given(kept, shown)] == [(1, right)]
    shown.keyboard.press("s")
    with shown.expect_response(lambda answer: answer.request.method == "POST"):
        shown.keyboard.press("1")
    said(shown, "Turn 2: the speaker is Speaker 1")
    assert shown.locator("#turns li").nth(1).locator(".who").inner_text() == "Speaker 1"
    assert "<NA> <NA> SPEAKER_00 " in exported(shown, "rttm").splitlines()[1]
    shown.locator("#turns li").nth(1).locator(".who").focus()
    shown.keyboard.press("u")
    said(shown, "undone")
    assert shown.locator("#turns li").nth(1).locator(".who").inner_text() == "Speaker 2"
    assert label_of(shown, 1) == right


def test_the_least_sure_are_reviewed_first_and_leave_the_queue(shown: Page, kept: Kept) -> None:
    turns = made.answer(12, 60.0)["turns"]
    order = sorted(range(12), key=lambda number: turns[number]["confidence"])
    shown.click("#tab-review")
    queue = shown.locator("#view-review .queue > li")
    assert [int(item.get_attribute("data-index") or -1) for item in queue.all()] == order
    with shown.expect_response(lambda answer: answer.request.method == "POST"):
        queue.first.locator(".guessed").click()
    assert queue.count() == 11
    (entry,) = given(kept, shown)
    assert (entry.turn, entry.emotion == entry.predicted) == (order[0], True)
    shown.reload()
    shown.wait_for_selector("#conversation:not([hidden])")
    until(
        shown,
        f"document.querySelectorAll('#turns .label')[{order[0]}].textContent.includes('confirmed')",
    )


def test_two_tabs_show_the_same_corrections(shown: Page) -> None:
    other = shown.context.new_page()
    other.goto(shown.url)
    other.wait_for_selector("#conversation:not([hidden])")
    right = other_label(4)
    choose(other, 4, right)
    assert label_of(shown, 4) != right
    shown.bring_to_front()
    shown.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(shown, "document.getElementById('counted').textContent.startsWith('1 turn')")
    assert label_of(shown, 4) == right


def test_without_a_connection_a_correction_is_kept_and_sent_again(shown: Page, kept: Kept) -> None:
    right = other_label(3)
    shown.context.set_offline(True)
    shown.locator("#turns li").nth(3).locator(".label").click()
    shown.locator("#menu button", has_text=right).click()
    said(shown, "Not sent")
    assert label_of(shown, 3) == right
    assert given(kept, shown) == []
    shown.context.set_offline(False)
    shown.click("#resend")
    said(shown, "All corrections were sent")
    assert [entry.emotion for entry in given(kept, shown)] == [right]
    assert shown.is_hidden("#resend")


def test_an_answer_with_other_labels_is_corrected_by_its_own(opened: Opened, kept: Kept) -> None:
    page = opened(3, 12.0, labels=["calm", "glad"])
    page.locator("#turns li").nth(1).locator(".label").click()
    assert page.locator("#menu button").count() == 2
    page.keyboard.press("Escape")
    guessed = label_of(page, 1).strip("?")
    choose(page, 1, "calm" if guessed == "glad" else "glad")
    assert [entry.predicted for entry in given(kept, page)] == [guessed]
