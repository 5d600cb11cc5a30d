"""Real recordings heard as calls that go on, stretch by stretch, against all at once."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, Turn
from components.diarize import RunningSpeakers
from components.scoring import WordSpeakers, word_speakers
from serving.engine.analyze import Analyzer
from serving.engine.options import Options
from serving.live.endpoints import Endpointer
from tests.real.data import RealData
from tests.real.report import Number, Report
from tests.real.test_speakers import AMI, CALL, SETS, Talk

FRAME = 1600


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(load_profile("demo"), Settings())


def stretches(talk: Talk) -> Iterator[tuple[float, float]]:
    endpoints = Endpointer()
    for first in range(0, len(talk.audio), FRAME):
        yield from endpoints.hear(talk.audio[first : first + FRAME])
    yield from endpoints.end()


def live(analyzer: Analyzer, talk: Talk) -> list[Turn]:
    """The turns of all stretches; none is joined to the next."""
    running, turns = RunningSpeakers(), []
    for start, end in stretches(talk):
        sound = talk.audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        found = analyzer.find_turns(sound, Options(talk.name), running=running)
        turns += [replace(t, start=t.start + start, end=t.end + start) for t in found.turns]
    return turns


@pytest.mark.parametrize("name", [AMI, CALL])
def test_live(data: RealData, analyzer: Analyzer, report: Report, name: str) -> None:
    totals = dict.fromkeys(("live", "all at once"), WordSpeakers.zero())
    for talk in SETS[name](data):
        whole = analyzer.find_turns(talk.audio, Options(talk.name)).turns
        for way, turns in (("live", live(analyzer, talk)), ("all at once", whole)):
            totals[way] += word_speakers(talk.turns, turns)
    for way, total in totals.items():
        what, note = f"word-speaker error, {way}", f"cpWER {total.cpwer.rate:.3f}"
        report.add(Number(f"live, {name}", what, total.errors.rate, better="low", note=note))
        assert total.cpwer.length > 0
