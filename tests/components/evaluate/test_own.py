"""Checks of somebody's own, brought by a distribution that is really installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.base import InputError
from components.config import GateSettings
from components.evaluate import gate
from tests.components.evaluate.test_gate import numbers

SOURCE = """
from components.scoring import Check

def churn(metrics, options):
    rate = metrics["slices"]["columns.customer"]["acme"]["accuracy"]["rate"]
    result = "pass" if rate >= options["least"] else "fail"
    return [Check("acme", rate, "at least", options["least"], result, f"acme has {rate:.2f}")]

def broken(metrics, options):
    raise KeyError("seats")

def silent(metrics, options):
    return []

def odd(metrics, options):
    return [True]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution as pip leaves it: a module, and its metadata with entry points."""
    (tmp_path / "ours_of_test.py").write_text(SOURCE)
    metadata = tmp_path / "ours_of_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ours-of-test\nVersion: 1.0\n")
    points = ["churn", "broken", "silent", "odd"]
    lines = [f"{name} = ours_of_test:{name}" for name in points] + ["gone = ours_of_test:gone"]
    (metadata / "entry_points.txt").write_text("\n".join(["[moodline.checks]", *lines]))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("ours_of_test", None)


def asking(**own: object) -> GateSettings:
    return GateSettings.model_validate({"own": own})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("least", "result"), [(0.6, "pass"), (0.7, "fail")])
def test_a_check_of_ones_own_decides(least: float, result: str) -> None:
    verdict = gate(numbers(), asking(churn={"least": least}))
    (check,) = verdict.checks
    assert (check.name, check.value, check.threshold) == ("own.churn.acme", 0.66, least)
    assert verdict.decision == result


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "own check 'broken' failed: KeyError: 'seats'"),
        ("silent", "own check 'silent' must return checks, one or more"),
        ("odd", "own check 'odd' must return checks, one or more"),
        ("gone", "own check 'gone' cannot be loaded: AttributeError"),
        ("chrun", r"own check 'chrun' is not installed \(there: broken, churn, "),
    ],
)
def test_a_check_that_cannot_be_asked_stops_the_gate(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        gate(numbers(), asking(**{name: {}}))
    assert "\n" not in str(caught.value)
