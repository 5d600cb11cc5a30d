"""Who goes where, and when a canary has to stop."""

from pathlib import Path

import numpy as np
import pytest

from serving.engine.canary import Canary, Trial, request_fraction
from serving.lineup import Halt, halt_path, read_halt
from serving.settings import TrafficSettings

LIMITS = TrafficSettings(canary_share=0.3, canary_errors=0.1, canary_slower=1.5, canary_requests=20)


def test_a_fraction_is_decided_by_the_id_and_the_purpose_alone() -> None:
    fractions = np.array([request_fraction(f"request-{i}", "canary") for i in range(20_000)])
    assert fractions.tolist()[:5] == [request_fraction(f"request-{i}", "canary") for i in range(5)]
    assert fractions.min() >= 0 and fractions.max() < 1
    assert np.histogram(fractions, bins=10, range=(0, 1))[0] == pytest.approx(2000, rel=0.1)
    shadow = np.array([request_fraction(f"request-{i}", "shadow") for i in range(20_000)])
    assert abs(np.corrcoef(fractions, shadow)[0, 1]) < 0.03


def test_two_processes_send_a_request_to_the_same_version(tmp_path: Path) -> None:
    one, other = (Canary(LIMITS, tmp_path / "halt.json") for _ in range(2))
    taken = [one.answers(5, f"{i}") for i in range(2000)]
    assert taken == [other.answers(5, f"{i}") for i in range(2000)]
    assert np.mean(taken) == pytest.approx(0.3, abs=0.04)


def test_a_stop_reaches_every_process_and_ends_with_the_file(tmp_path: Path) -> None:
    path = halt_path(tmp_path / "served.json")
    one, other = Canary(LIMITS, path), Canary(LIMITS, path)
    request = next(f"{i}" for i in range(99) if one.answers(5, f"{i}"))
    for _ in range(3):  # of at least 20, three are more than a tenth
        one.canary_answered(5, None)
    halt = read_halt(path)
    assert halt == Halt(5, "3 of 3 requests failed, the limit is 10.0%")
    assert not one.answers(5, request) and not other.answers(5, request)
    assert other.answers(6, request), "another version has its own trial"
    path.unlink()
    assert one.answers(5, request) and other.answers(5, request)


def test_a_few_failures_among_many_are_borne() -> None:
    trial = Trial(LIMITS)
    for number in range(200):
        assert trial.canary_answered(None if number % 20 == 19 else 0.1) == ""


def test_a_slow_canary_is_stopped_once_there_is_enough_to_judge() -> None:
    trial = Trial(LIMITS)
    for _ in range(19):
        trial.production.append(0.1)
        assert trial.canary_answered(0.2) == ""
    trial.production.append(0.1)
    assert "2.0 times production's" in trial.canary_answered(0.2)


def test_senders_own_deadlines_are_no_failures_but_a_hanging_canary_is_slow(
    tmp_path: Path,
) -> None:
    canary = Canary(LIMITS, tmp_path / "halt.json")
    request = next(f"{i}" for i in range(99) if canary.answers(5, f"{i}"))
    for _ in range(100):
        canary.canary_answered(5, 0.1)
        canary.production_answered(0.1)
        canary.canary_late(5, 0.02)  # nobody would answer within that
    assert canary.answers(5, request)
    for _ in range(300):
        canary.canary_late(5, 5.0)
    assert "times production's" in (read_halt(tmp_path / "halt.json") or Halt(0, "")).reason
    assert not canary.answers(5, request)


def test_a_canary_as_quick_as_production_goes_on() -> None:
    trial = Trial(LIMITS)
    for _ in range(100):
        trial.production.append(0.1)
        assert trial.canary_answered(0.12) == ""
