"""What the page shows of a conversation: all of it, as it was answered, and nothing that runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from components.conversation import parse_rttm
from tests.serving.page import made
from tests.serving.page.conftest import Kept, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

Opened = Callable[..., Page]


def rows(page: Page) -> list[list[str]]:
    """Each turn's time, speaker, words and label, as they are written."""
    script = """rows => rows.map(row => [".time", ".who", ".words", ".label"]
        .map(part => row.querySelector(part).textContent.trim()))"""
    shown: list[list[str]] = page.locator("#turns li").evaluate_all(script)
    return shown


def give_sound(page: Page, seconds: float) -> None:
    """Choose the recording's file again, as somebody does whose browser has forgotten it."""
    file = {"name": "made.wav", "mimeType": "audio/wav", "buffer": made.sound(seconds)}
    page.set_input_files("#refile", files=[file])  # type: ignore[list-item]
    until(page, "document.getElementById('audio').readyState > 1")


def drawn(page: Page) -> int:
    """How many turns the timeline has drawn."""
    until(page, "document.getElementById('lanes').dataset.drawn !== undefined")
    return int(page.locator("#lanes").get_attribute("data-drawn") or 0)


def test_every_turn_is_shown_as_it_was_answered(opened: Opened) -> None:
    page, answer = opened(12, 60.0), made.answer(12, 60.0)
    expected = []
    for turn in answer["turns"]:
        doubt = "?" if turn["confidence"] < 0.5 else ""
        unsure = "?" if turn["speaker_confidence"] < 0.6 else ""
        number = int(turn["speaker"][-2:]) + 1
        label = f"{turn['emotion']}{doubt} {round(100 * turn['confidence'])} %"
        time = f"0:{turn['start_time']:04.1f}"
        expected.append([time, f"Speaker {number}{unsure}", turn["words"], label])
    assert rows(page) == expected
    assert drawn(page) == 12
    assert page.locator("#legend li").all_text_contents()[:4] == answer["model"]["labels"]
    assert page.locator("#turns .doubt").count() == sum(
        len(t["words"].split()) > 2 for t in answer["turns"]
    )


def test_an_hour_of_1500_turns_is_drawn_whole(opened: Opened) -> None:
    page = opened(1500, 3600.0)
    assert page.locator("#turns li").count() == 1500
    assert drawn(page) == 1500
    for _ in range(7):
        page.click("#in")
    until(page, "Number(document.getElementById('lanes').dataset.drawn) < 200")
    page.evaluate("document.getElementById('scrollbar').scrollLeft = 1e9")
    until(page, "Number(document.getElementById('lanes').dataset.last) > 3599")
    page.click("#fit")
    until(page, "Number(document.getElementById('lanes').dataset.drawn) === 1500")


def test_a_click_plays_from_there_and_the_turn_and_the_word_are_marked(opened: Opened) -> None:
    page = opened(12, 60.0)
    give_sound(page, 60)
    page.locator("#turns li").nth(7).locator(".time").click()
    page.wait_for_selector("#turns li:nth-child(8).on .words .now")
    assert 35 <= page.evaluate("document.getElementById('audio').currentTime") < 45
    lanes = page.locator("#lanes")
    width = lanes.evaluate("canvas => canvas.clientWidth")
    lanes.click(position={"x": width * 0.51, "y": 35})  # in the lane of speaker 1
    page.wait_for_selector("#turns li:nth-child(7).on")
    assert page.locator("#turns li.on").count() <= 2
    page.click("#play")
    assert page.evaluate("document.getElementById('audio').paused")


HOSTILE = (
    "<img src=x onerror=\"document.title='run'\"> <b>bold</b> <script>document.title='run'</script>"
)


def test_what_a_recording_holds_stays_text(opened: Opened) -> None:
    labels = ["<i>calm</i>", "<img src=x onerror=document.title='run'>", "glad"]
    page = opened(6, 30.0, labels=labels, texts=[HOSTILE])
    assert {row[2] for row in rows(page)} == {HOSTILE}
    for view in ("speakers", "review", "compare", "exports"):
        page.click(f"#tab-{view}")
    page.click("#tab-transcript")
    page.locator("#turns .label").first.click()
    shown = [item.partition(" 0")[0] for item in page.locator("#menu button").all_inner_texts()]
    assert labels[0] in "".join(shown)
    assert page.locator("#conversation img, #conversation b, #menu img, #menu i i").count() == 0
    assert page.title() != "run"


def test_search_finds_and_says_how_often(opened: Opened) -> None:
    page = opened(14, 60.0)
    page.fill("#search", "LAST train")
    assert page.locator("#turns li:visible").count() == 2
    assert page.inner_text("#found") == "2 turns with “LAST train”"
    page.fill("#search", "")
    assert page.locator("#turns li:visible").count() == 14


def test_each_speakers_time_and_labels_add_up(opened: Opened) -> None:
    page, answer = opened(12, 60.0), made.answer(12, 60.0)
    page.click("#tab-speakers")
    cells = page.locator("#view-speakers tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.children].slice(0, 3).map(cell => cell.textContent))"
    )
    for number, (name, time, turns) in enumerate(cells):
        own = [t for t in answer["turns"] if t["speaker"] == f"SPEAKER_{number:02d}"]
        seconds = sum(t["end_time"] - t["start_time"] for t in own)
        assert (name, turns) == (f"Speaker {number + 1}", str(len(own)))
        assert time.startswith(f"0:{seconds:04.1f} (")
    shares = page.locator("#view-speakers .legend").all_inner_texts()
    for line in shares:
        assert sum(int(word) for word in line.split() if word.isdigit()) in (99, 100, 101)


def test_with_and_without_alignment_stand_side_by_side(opened: Opened) -> None:
    page = opened(12, 60.0)
    page.click("#tab-compare")
    without, aligned = page.locator("#view-compare ol").all()
    assert (without.locator("li").count(), aligned.locator("li").count()) == (6, 12)
    assert without.locator("li.mixed").count() == 6
    assert "6 segments without alignment, 12 turns with it" in page.inner_text("#view-compare")


def exported(page: Page, kind: str) -> str:
    """The text of an export."""
    with page.expect_download() as waiting:
        page.click(f"#view-exports [data-format={kind}]")
    assert waiting.value.suggested_filename == f"made.{kind}"
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def test_exports_hold_the_turns_and_the_report_opens_by_itself(
    opened: Opened, page: Page, tmp_path: Path
) -> None:
    opened(12, 60.0)
    page.click("#tab-exports")
    answer: Any = made.answer(12, 60.0)
    told = json.loads(exported(page, "json"))
    assert [t["emotion"] for t in told["turns"]] == [t["emotion"] for t in answer["turns"]]
    assert len(parse_rttm(exported(page, "rttm"), "the export")["made"]) == 12
    assert exported(page, "vtt").startswith("WEBVTT")
    assert "SPEAKER_00: [" in exported(page, "srt")
    report = tmp_path / "report.html"
    report.write_text(exported(page, "html"), encoding="utf-8")
    offline = page.context.new_page()
    offline.context.set_offline(True)
    offline.goto(report.as_uri())
    assert offline.locator("tr").count() == 12
    assert offline.locator("rect").count() == 12


def test_an_address_of_no_recording_says_so_and_offers_another(page: Page, kept: Kept) -> None:
    page.goto(f"{kept.url}/#job={'0' * 32}")
    page.wait_for_selector("#problem:not([hidden])")
    assert "no such job" in page.inner_text("#problem")
    assert "Send the recording again" in page.inner_text("#problem")
    assert page.is_visible("#form")
    assert page.evaluate("location.hash") == ""


def test_stopping_an_upload_deletes_no_earlier_recording(page: Page, kept: Kept) -> None:
    address = kept.keep(4, 20.0)
    id = address.partition("job=")[2]
    failing = {"status": 500, "json": {"detail": "a fault"}}
    page.route(f"**/v1/jobs/{id}", lambda route: route.fulfill(**failing))  # type: ignore[arg-type]
    page.goto(address)
    page.wait_for_selector("#problem:not([hidden])")
    page.unroute(f"**/v1/jobs/{id}")
    page.route("**/v1/jobs", lambda _: None)  # it is sent and sent
    file: Any = {"name": "b.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}
    page.set_input_files("#file", files=[file])
    page.click("#go")
    page.wait_for_selector("#work:not([hidden])")
    page.click("#stop")
    page.wait_for_selector("#start:not([hidden])")
    assert httpx.get(f"{kept.url}/v1/jobs/{id}").status_code == 200
