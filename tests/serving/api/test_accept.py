"""`Accept`, as RFC 9110 has it."""

import pytest
from starlette.exceptions import HTTPException

from serving.api.accept import TurnsFormat, choose_format


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (None, TurnsFormat.json),
        ("", TurnsFormat.json),
        ("*/*", TurnsFormat.json),
        ("application/json", TurnsFormat.json),
        ("text/vtt", TurnsFormat.vtt),
        ("application/x-subrip", TurnsFormat.srt),
        ("TEXT/VTT; charset=utf-8", TurnsFormat.vtt),
        ("text/x-rttm", TurnsFormat.rttm),
        ("text/*", TurnsFormat.rttm),
        ("text/html, */*;q=0.1", TurnsFormat.json),
        ("application/json;q=0.2, text/vtt;q=0.9", TurnsFormat.vtt),
        ("text/*;q=0.9, text/x-rttm;q=0.1, application/json;q=0.5", TurnsFormat.vtt),
        ("text/vtt;q=much", TurnsFormat.vtt),
    ],
)
def test_the_preferred_format(header: str | None, chosen: TurnsFormat) -> None:
    assert choose_format(header) is chosen


@pytest.mark.parametrize("header", ["image/png", "text/vtt;q=0", "application/*;q=0, text/html"])
def test_none_of_ours(header: str) -> None:
    with pytest.raises(HTTPException) as refused:
        choose_format(header)
    assert refused.value.status_code == 406
    assert "text/vtt" in refused.value.detail
