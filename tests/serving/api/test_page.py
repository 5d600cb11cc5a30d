"""The page says what the settings keep of a recording."""

import asyncio

import pytest

from serving.api.pages import page


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
