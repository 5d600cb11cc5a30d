"""What an operator looks at is asked for seldom."""

import pytest

from components.base import Unavailable
from serving.api import overview as module
from serving.api.overview import _Remembered


def test_what_failed_is_remembered_as_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that is away takes seconds to say so: not from each reader."""
    answers: list[int | Unavailable] = [Unavailable("the registry is away"), 7, 8]
    asked = []

    def read() -> int:
        asked.append(answers[0])
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    remembered, now = _Remembered(read), 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    for _ in range(2):
        with pytest.raises(Unavailable, match="away"):
            remembered()
    assert len(asked) == 1
    now += module.FRESH
    assert [remembered(), remembered()] == [7, 7]
    remembered.forget()
    assert remembered() == 8
