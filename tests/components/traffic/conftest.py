"""Requests as the service answers them, without a service."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from components.conversation import EMOTIONS, Turn
from components.traffic import Answered, LoggedTurn

NOW = datetime.now(UTC)

MakeAnswer = Callable[..., Answered]


@pytest.fixture(scope="session")
def now() -> datetime:
    """When requests are answered, unless told otherwise."""
    return NOW


@pytest.fixture(scope="session")
def answer() -> MakeAnswer:
    """A request with some turns; `number` decides everything that is not given."""

    def make(
        number: int,
        *,
        turns: int = 2,
        at: datetime = NOW,
        recording: str | None = None,
        text: str | None = None,
        version: int = 3,
        audio: bool = False,
    ) -> Answered:
        dice = np.random.default_rng(number)
        logged = []
        for turn in range(turns):
            p = dice.dirichlet(np.ones(4)).astype("f4").astype(float)
            said = Turn(
                f"call-{number}",
                turn * 3.0,
                turn * 3.0 + 2.0,
                "AB"[turn % 2],
                "words that must not be logged",
                EMOTIONS[int(p.argmax())],
                float(p.max()),
                dict(zip(EMOTIONS, p.tolist(), strict=True)),
                None if turn % 2 else 0.875,
            )
            measures = {"duration": 2.0, "words_per_second": 2.5, "loudness_db": -20.0}
            vector = dice.normal(size=8).astype("f4")
            logged.append(LoggedTurn(said, vector, measures | {"snr_db": 30.0 + number}, text))
        return Answered(
            f"request-{number:04d}",
            recording or f"{number:032x}",
            at,
            "/v1/analyze",
            version,
            "production",
            audio,
            tuple(logged),
        )

    return make
