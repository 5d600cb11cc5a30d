"""`Accept`, as RFC 9110 has it."""

import pytest
from starlette.exceptions import HTTPException

from serving.api.accept import Form, accepted


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (None, Form.json),
        ("", Form.json),
        ("*/*", Form.json),
        ("application/json", Form.json),
        ("text/vtt", Form.vtt),
        ("TEXT/VTT; charset=utf-8", Form.vtt),
        ("text/x-rttm", Form.rttm),
        ("text/*", Form.rttm),
        ("text/html, */*;q=0.1", Form.json),
        ("application/json;q=0.2, text/vtt;q=0.9", Form.vtt),
        ("text/*;q=0.9, text/x-rttm;q=0.1, application/json;q=0.5", Form.vtt),
        ("text/vtt;q=much", Form.vtt),
    ],
)
def test_the_best_liked_form(header: str | None, form: Form) -> None:
    assert accepted(header) is form


@pytest.mark.parametrize("header", ["image/png", "text/vtt;q=0", "application/*;q=0, text/html"])
def test_none_of_ours(header: str) -> None:
    with pytest.raises(HTTPException) as refused:
        accepted(header)
    assert refused.value.status_code == 406
    assert "text/vtt" in refused.value.detail
