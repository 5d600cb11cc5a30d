"""Windows that drifted and windows that did not; a window too small; what is written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.base import InputError
from components.conversation import DEFAULT_LABELS
from components.drift import (
    DriftResult,
    DriftSettings,
    Reference,
    Sample,
    drift,
    judge_window,
    live_scores,
    read_reference,
)
from components.drift.gauges import NAMES
from components.traffic import Correction, FeedbackStore, TurnLog
from components.traffic.answers import find_request
from tests.components.drift.made_up import to_log, to_version

MakeTraffic = Callable[..., Sample]
QUICK = DriftSettings(draws=2000)
"""As many draws as the smallest p-value needs."""


@pytest.fixture(scope="module")
def reference(make_traffic: MakeTraffic) -> Reference:
    every = make_traffic(120, seed=0)
    return Reference(every, every.where(np.arange(len(every)) >= 60 * 14))


def test_traffic_as_before_is_ok(reference: Reference, make_traffic: MakeTraffic) -> None:
    """20 windows: a false alarm in 200 is allowed for, so at most one here (p = 0.005)."""
    verdicts = [judge_window(reference, make_traffic(36, seed), QUICK) for seed in range(1, 21)]
    assert sum(verdict.decision == "drift" for verdict in verdicts) <= 1
    assert {feature.name for feature in verdicts[0].features if feature.value is None} == set()


@pytest.mark.parametrize(
    ("shift", "feature"),
    [({"snr": 20.0}, "snr_db"), ({"sad": 0.45}, "emotion"), ({"embedding": 0.6}, "embedding")],
)
def test_a_shift_is_caught_and_named(
    reference: Reference, make_traffic: MakeTraffic, shift: dict[str, float], feature: str
) -> None:
    verdicts = [
        judge_window(reference, make_traffic(36, seed, **shift), QUICK) for seed in range(1, 11)
    ]
    assert sum(feature in verdict.drifted for verdict in verdicts) >= 9
    caught = next(verdict for verdict in verdicts if feature in verdict.drifted)
    assert caught.decision == "drift"
    assert feature in caught.reason


def test_a_window_too_small_is_no_verdict(reference: Reference, make_traffic: MakeTraffic) -> None:
    few_turns = judge_window(reference, make_traffic(9, 1, turns=4, snr=0.0), QUICK)
    few_recordings = judge_window(reference, make_traffic(5, 1, turns=40, snr=0.0), QUICK)
    nothing = judge_window(reference, make_traffic(1, 1).where(np.zeros(14, bool)), QUICK)
    for verdict in (few_turns, few_recordings, nothing):
        assert (verdict.decision, verdict.drifted) == ("too_small", ())
        assert "too few to judge" in verdict.reason
    assert "36 turns of 9 recordings" in few_turns.reason


def test_a_feature_that_cannot_be_told_is_left_out(make_traffic: MakeTraffic) -> None:
    """Three validation recordings prove nothing of the answers; what went in is still compared."""
    every = make_traffic(40, seed=0, asr=False)
    small = Reference(every, every.where(np.arange(len(every)) >= 37 * 14))
    verdict = judge_window(small, make_traffic(10, 1, snr=15.0, sad=0.9), QUICK)
    why = {feature.name: feature.why_not for feature in verdict.features if feature.why_not}
    assert why == {
        "emotion": "3 and 10 recordings are too few",
        "confidence": "3 and 10 recordings are too few",
        "embedding": "3 and 10 recordings are too few",
        "asr_confidence": "not known in the reference",
    }
    assert verdict.drifted == ("snr_db",)


def test_a_sure_but_tiny_difference_is_no_drift(
    reference: Reference, make_traffic: MakeTraffic
) -> None:
    window = make_traffic(36, 1, snr=20.0)
    sure = judge_window(reference, window, QUICK)
    strict = judge_window(reference, window, replace(QUICK, min_ks=0.99))
    assert "snr_db" in sure.drifted
    assert "snr_db" not in strict.drifted
    assert [f.adjusted for f in sure.features] == [f.adjusted for f in strict.features]


@pytest.fixture(scope="module")
def version(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_version(tmp_path_factory.mktemp("version") / "model", reference)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[TurnLog]:
    with closing(TurnLog(tmp_path / "log", f"sqlite:///{tmp_path}/feedback.db")) as opened:
        yield opened


def test_from_the_log_to_a_verdict_and_its_files(
    tmp_path: Path, log: TurnLog, version: Path, make_traffic: MakeTraffic
) -> None:
    hour, now = timedelta(hours=1), datetime.now(UTC)
    to_log(log, make_traffic(36, 1), now - 2 * hour)
    to_log(log, make_traffic(36, 2, snr=15.0), now)
    to_log(log, make_traffic(36, 3, sad=0.9), now, version=4)

    def look(**options: Any) -> DriftResult:
        return drift(log.window(**options), version, settings=QUICK, **options)

    def decision(**options: Any) -> tuple[str, tuple[str, ...], int]:
        verdict = look(**options).verdict
        return verdict.decision, verdict.drifted, verdict.turns

    assert decision(until=now - hour, version=3) == ("ok", (), 504)
    assert decision(since=now - hour, version=3) == ("drift", ("snr_db",), 504)
    assert "emotion" in decision(since=now - hour, version=4)[1]
    assert decision(version=9) == ("too_small", (), 0)

    result = look(since=now - hour, version=3)
    verdict, report, prom = (tmp_path / name for name in ("v.json", "r.html", "g.prom"))
    result.write(verdict=verdict, report=report, prom=prom)
    content = json.loads(verdict.read_text())
    assert (content["decision"], content["drifted"], content["turns"]) == ("drift", ["snr_db"], 504)
    assert content["log"] == {"broken_lines": 0, "unreadable_files": []}
    page = report.read_text()
    assert "Signal to noise (dB)" in page
    assert "snr_db has drifted" in page.lower()
    assert "<script" not in page
    assert "http" not in page
    gauges = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(prom.read_text())
        for sample in family.samples
    }
    assert {name for name, *_ in gauges} <= set(NAMES)
    assert gauges["moodline_drift_detected", "3"] == 1
    assert gauges["moodline_drift_judged",] == 1
    assert gauges["moodline_drift_feature_detected", "snr_db"] == 1
    assert gauges["moodline_drift_feature_detected", "duration"] == 0
    assert gauges["moodline_drift_effect", "snr_db", "ks"] > 0.5
    shares = [gauges["moodline_drift_emotion_share", e, "window", "3"] for e in DEFAULT_LABELS]
    assert sum(shares) == pytest.approx(1)


def test_a_version_without_a_reference_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the version has no drift reference"):
        read_reference(tmp_path)
    (tmp_path / "drift_reference.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is not a drift reference"):
        read_reference(tmp_path)


def test_live_scores_by_version_with_intervals(
    tmp_path: Path, log: TurnLog, make_traffic: MakeTraffic
) -> None:
    """Every third turn is corrected; one of them people disagree on."""
    now = datetime.now(UTC)
    to_log(log, make_traffic(3, 1), now)
    store = FeedbackStore(f"sqlite:///{tmp_path}/feedback.db")
    for number in range(3):
        for row in find_request(log.open(), f"r-3-{number}"):
            wrong = row["turn"] % 3 == 0
            other = DEFAULT_LABELS[(DEFAULT_LABELS.index(row["emotion"]) + wrong) % 4]
            store.record(Correction(row["request_id"], row["turn"], other, "reviewer"))
    store.record(Correction("r-3-0", 1, "angry", "agent"))
    store.record(Correction("r-3-0", 1, "happy", "agent"))
    scores = live_scores(store.entries())["3"]
    store.close()
    assert (scores["turns"], scores["recordings"], scores["contradicted"]) == (42, 3, 1)
    assert scores["accuracy"] == {"correct": 27, "total": 42, "rate": 27 / 42}
    assert (
        scores["intervals"]["accuracy"]["low"] <= 27 / 42 <= scores["intervals"]["accuracy"]["high"]
    )
    assert live_scores([]) == {}


def relabelled(sample: Sample, labels: tuple[str, ...], order: Sequence[int]) -> Sample:
    """The sample with other names of its emotions, its probabilities in another order."""
    features = sample.features | {"emotion": sample.features["emotion"][:, list(order)]}
    return Sample(sample.recordings, features, tuple(labels[i] for i in order))


def test_distributions_are_of_the_versions_labels_whatever_their_number(
    tmp_path: Path, log: TurnLog, make_traffic: MakeTraffic
) -> None:
    """Two labels, and six of which two are never answered; the shift is caught in both."""

    def with_labels(sample: Sample, labels: tuple[str, ...]) -> Sample:
        four = sample.features["emotion"]
        wide = np.zeros((len(four), 6))
        wide[:, [0, 2, 3, 5]] = four
        two = np.stack([four[:, :3].sum(axis=1), four[:, 3]], axis=1)
        features = sample.features | {"emotion": two if len(labels) == 2 else wide}
        return Sample(sample.recordings, features, labels)

    six = ("bored", "calm", "curious", "proud", "shy", "tense")
    for number, labels in ((2, ("high", "low")), (6, six)):
        every = with_labels(make_traffic(60, seed=0), labels)
        validation = every.where(np.arange(len(every)) >= 30 * 14)
        version = to_version(tmp_path / str(number), Reference(every, validation))
        assert read_reference(version).every.labels == labels
        to_log(log, with_labels(make_traffic(36, 1, sad=0.6), labels), datetime.now(UTC), number)
        result = drift(log.window(version=number), version, version=number, settings=QUICK)
        assert "emotion" in result.verdict.drifted
        (emotion,) = (f for f in result.verdict.features if f.name == "emotion")
        assert tuple(emotion.reference) == tuple(emotion.window) == labels
        assert emotion.window[labels[-1]] - emotion.reference[labels[-1]] > 0.2
        assert (result.verdict.other_labels, "left out" in result.verdict.reason) == (0, False)
        result.write(prom=tmp_path / "g.prom", report=tmp_path / "r.html")
        gauges = (tmp_path / "g.prom").read_text()
        assert all(f'emotion="{label}"' in gauges for label in labels)
        page = (tmp_path / "r.html").read_text()
        assert all(label in page for label in labels)


def test_answers_of_versions_with_other_labels_are_left_out_and_counted(
    tmp_path: Path, log: TurnLog, version: Path, make_traffic: MakeTraffic
) -> None:
    now = datetime.now(UTC)
    to_log(log, make_traffic(36, 1), now)
    swapped = relabelled(make_traffic(10, 2), DEFAULT_LABELS, (3, 1, 0, 2))
    to_log(log, swapped, now, version=4)
    others = Sample(swapped.recordings, swapped.features, ("a", "b", "c", "d"))
    to_log(log, others, now, version=5)
    verdict = drift(log.window(), version, settings=QUICK).verdict
    assert (verdict.turns, verdict.other_labels) == (46 * 14, 140)
    assert verdict.decision == "ok", verdict.reason
    assert verdict.reason.endswith(
        "; left out: 140 turns answered with other labels than angry, happy, neutral, sad"
    )
    assert verdict.to_json()["other_labels"] == 140
    alone = drift(log.window(version=5), version, settings=QUICK).verdict
    assert (alone.decision, alone.turns, alone.other_labels) == ("too_small", 0, 140)
    in_order = drift(log.window(version=4), version, settings=QUICK).window
    expected = make_traffic(10, 2).features["emotion"]
    np.testing.assert_allclose(in_order.features["emotion"], expected, atol=1e-6)
