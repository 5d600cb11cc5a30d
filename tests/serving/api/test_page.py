"""The page says what the settings keep of a recording, and takes labels from the service."""

import asyncio
import re

import pytest

from components.conversation import DEFAULT_LABELS, DOUBTFUL
from components.reporting.colours import label_colours
from serving.api.pages import PLACES, page


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ON": "false"}, ["It is analysed and forgotten: nothing is kept."]),
        (
            {},
            ["Kept for 365 days: times, speaker label", "vector", "Not kept: its words and sound."],
        ),
        ({"EMBEDDING": "false", "DAYS": "7"}, ["Kept for 7 days", "measures of each turn. "]),
        (
            {"AUDIO": "true", "CONTENT_DAYS": "14"},
            ["Kept for 14 days: its sound. Not kept: its words."],
        ),
        ({"AUDIO": "true", "TEXT": "true"}, ["Kept for 30 days: its words and sound.<"]),
    ],
)
def test_it_tells_what_is_kept(
    settings: dict[str, str], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MOODLINE_LOG_{name}", value)
    html = bytes(asyncio.run(page()).body).decode()
    assert [text for text in told if text not in html] == []
    assert ("nothing is kept" in html) == ("ON" in settings)
    assert "{{" not in html


def test_it_knows_no_label_and_has_colours_for_any_number_of_them() -> None:
    html = bytes(asyncio.run(page()).body).decode()
    assert [label for label in DEFAULT_LABELS if re.search(rf"\b{label}\b", html)] == []
    places = re.findall(r"--label-(\d+): light-dark\((#\w{6}), color-mix\(.*\)\);", html)
    assert [int(place) for place, _ in places] == list(range(PLACES))
    assert [colour for _, colour in places] == label_colours(PLACES), "as in the reports"
    assert len({colour for _, colour in places}) == PLACES
    assert f"place % {PLACES}" in html
    assert "answer.model.labels" in html


def test_it_doubts_a_speaker_where_the_reports_do() -> None:
    html = bytes(asyncio.run(page()).body).decode()
    assert f"speaker_confidence != null && turn.speaker_confidence < {DOUBTFUL} ?" in html
