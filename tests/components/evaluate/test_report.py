"""The page says what the numbers say, and needs nothing from elsewhere."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from components.conversation import Recording, Turn, Utterance
from components.evaluate import evaluate
from components.reporting.timeline import timeline


class Elements(HTMLParser):
    """Every element's name and attributes, and whether all that opened was closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(evaluation):
    return evaluation.report()


def test_the_page_is_whole_and_self_contained(page):
    elements = Elements(page)
    assert elements.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in elements.tags}
    assert not re.search(r"https?://|@import|url\([^#]", page)
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_the_numbers(page):
    for text in (
        "57.1 %",
        "4 of 7 utterances",
        "33.3 to 75.0",
        "gate: pass",
        "wu2023",
        "ser-align",
    ):
        assert text in page
    assert "accuracy is 0.5714, and must be at least 0.3000" in page.lower()
    assert "no_regression.macro_f1" in page
    assert "Synthetic speech" in page
    assert "+28.6" in page


def test_real_speech_is_not_called_synthetic(model, recordings, turns, profile):
    page = evaluate(model("sad"), recordings, turns, profile).report()
    assert "Synthetic" not in page
    assert "Against the model in production" not in page


def test_the_page_says_when_a_person_must_decide(model, recordings, turns, profile):
    gate = profile.gate.model_copy(update={"no_regression": None, "max_megabytes": 1.0})
    asking = profile.model_copy(update={"gate": gate})
    evaluation = evaluate(model("sad"), recordings, turns, asking)
    page = evaluation.report()
    assert evaluation.verdict.decision == "inconclusive", "the tiny model has no graph to weigh"
    assert Elements(page).open == []
    assert "gate: inconclusive" in page
    assert "A person must decide." in page
    assert "1 of\n    3 checks" in page
    assert "moodline registry promote VERSION --reason" in page


def test_every_turn_and_utterance_is_drawn(page):
    rectangles = [attrs for tag, attrs in Elements(page).tags if tag == "rect"]
    bars = [attrs for attrs in rectangles if "class" in attrs]  # the charts' have none
    # 8 utterances and 7 turns
    assert len(bars) == 15
    assert [bar["class"] for bar in bars].count("other") == 1
    assert page.count(">✓</text>") == 4
    assert page.count(">✗</text>") == 2
    assert page.count(">?</text>") == 1


def test_words_cannot_write_html(model, recordings, turns, profile):
    evil = {
        name: [replace(turn, words="<script>alert(1)</script>") for turn in own]
        for name, own in turns.items()
    }
    page = evaluate(model("sad"), recordings, evil, profile).report()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_lanes_stand_under_the_speaker_they_are_mapped_to(tmp_path):
    # A   0|-- sad --|10        10|-- B --|20
    # 1   0|-- sad --|10   2  9|-- sad ---|20   unknown 15|-|16
    utterances = (
        Utterance("a", "talk", 0, 10, "A", None, "", "sad"),
        Utterance("b", "talk", 10, 20, "B", None, "", "angry"),
    )
    turns = [
        Turn("talk", 0, 10, "1", "", "sad"),
        Turn("talk", 9, 20, "2", "", "sad"),
        Turn("talk", 15, 16, "unknown", "", "sad"),
    ]
    drawn = timeline(Recording("talk", tmp_path / "x", "one", None, utterances), turns)
    assert [lane.name for lane in drawn.lanes] == ["A", "↳ 1", "B", "↳ 2", "unmapped unknown"]
    assert [bar.mark for lane in drawn.lanes for bar in lane.bars] == ["✓", "", "✗", "", ""]
    assert (drawn.lanes[3].bars[0].left, drawn.lanes[3].bars[0].width) == (45, 55)
    assert (drawn.right, drawn.scored) == (1, 2)
    assert drawn.ticks[1] == (10, "0:02")
