"""Emotions of RAVDESS' actors by the demo profile's model, each fold left out in turn."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.config import Profile, Settings, load_profile
from components.conversation import Recording, Turn
from components.corpus import read_corpus
from components.scoring import utterance_predictions
from pipelines.experiments import Results, run_experiment
from pipelines.experiments.systems import ALIGNED_FROZEN, ORACLE_FROZEN, System
from tests.real.data import RealData
from tests.real.report import Number, Report

SEEDS = 3
REAL = "RAVDESS, each fold left out in turn, three seeds"
DEMO = "the demo corpus (synthetic voices), each fold left out in turn, three seeds"
BINS = 10


@pytest.fixture(scope="module")
def profile() -> Profile:
    """The demo profile, with three seeds."""
    profile = load_profile("demo")
    seeds = profile.experiment.model_copy(update={"seeds": SEEDS})
    return profile.model_copy(update={"experiment": seeds})


def measured(corpus: Path, profile: Profile, work: Path) -> Results:
    """Sound alone and true boundaries on each fold of a corpus; finished work is taken again."""
    settings = Settings()
    recordings = read_corpus(corpus, settings.finished)
    done = {"": -1}

    def progress(what: str, number: int, total: int) -> None:
        if what == "units of work" and number > done[""]:
            done[""] = number
            print(f"\r{corpus.name}: {number} of {total} trainings", end="", flush=True)

    return run_experiment("boundaries", recordings, profile, settings, work, progress)


@pytest.fixture(scope="module")
def real(data: RealData, profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The demo profile's model on RAVDESS."""
    return measured(data.ravdess, profile, tmp_path_factory.mktemp("ravdess"))


@pytest.mark.parametrize(
    ("system", "name", "target", "aim"),
    [
        (ORACLE_FROZEN, "accuracy with true boundaries", 0.75, 0.78),
        (ALIGNED_FROZEN, "accuracy from sound alone", 0.60, 0.70),
    ],
)
def test_accuracy(
    real: Results, report: Report, system: System, name: str, target: float, aim: float
) -> None:
    numbers = real.systems[system].numbers
    accuracy, uar = numbers["accuracy"], numbers["uar"]
    report.add(
        Number(REAL, name, accuracy["rate"], accuracy["interval"], 0.25, target, aim,
               note=f"sd over seeds {accuracy['sd_seeds']:.3f}, over folds"
                    f" {accuracy['sd_folds']:.3f}; UAR {uar['rate']:.3f}")
    )  # fmt: skip
    assert 0 < accuracy["interval"]["low"] <= accuracy["interval"]["high"] < 1


@pytest.mark.parametrize(
    ("system", "name"),
    [(ORACLE_FROZEN, "true boundaries"), (ALIGNED_FROZEN, "sound alone")],
)
def test_calibration(real: Results, report: Report, system: System, name: str) -> None:
    """Pooled over folds, for each seed; the mean over seeds."""
    errors = [
        equal_count_error(*answers(real.recordings, turns)) for turns in turns_by_seed(real, system)
    ]
    error = float(np.mean(errors))
    report.add(
        Number(REAL, f"expected calibration error, {name}", error, target=0.08, better="low",
               note=f"{BINS} bins of equal count, pooled")
    )  # fmt: skip
    assert 0 <= min(errors) <= max(errors) < 1


def test_what_is_lost_before_the_model(real: Results, report: Report) -> None:
    words = real.systems[ALIGNED_FROZEN].numbers["words"]
    der = real.about["diarization"]["collar0"]["rate"]
    for name, value, better in (
        ("word error rate", words["wer"]["rate"], "low"),
        ("diarization error rate, collar 0", der, "low"),
        ("recognised words with the right speaker", words["speaker_accuracy"]["rate"], "high"),
    ):
        report.add(Number(REAL, name, value, better=better))
        assert value > 0


def test_the_demo_corpus(
    report: Report,
    profile: Profile,
    demo_corpus: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    results = measured(demo_corpus, profile, tmp_path_factory.mktemp("demo"))
    for system, name in ((ALIGNED_FROZEN, "sound alone"), (ORACLE_FROZEN, "true boundaries")):
        accuracy = results.systems[system].numbers["accuracy"]
        target = 0.70 if system is ALIGNED_FROZEN else None
        report.add(Number(DEMO, f"accuracy, {name}", accuracy["rate"], accuracy["interval"], 0.25,
                          target, note="the target is what it was before"))  # fmt: skip
        assert 0 < accuracy["interval"]["low"] <= accuracy["interval"]["high"] < 1


def turns_by_seed(results: Results, system: System) -> Iterator[list[Turn]]:
    """A system's turns of all folds, for each seed."""
    outcomes = results.systems[system].outcomes
    for seed in sorted({outcome.unit.seed for outcome in outcomes}):
        yield [turn for o in outcomes if o.unit.seed == seed for turn in o.turns]


def answers(recordings: list[Recording], turns: list[Turn]) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each answered utterance, and whether its answer is right."""
    utterances = [u for recording in recordings for u in recording.utterances]
    predictions = utterance_predictions(utterances, turns)
    pairs = [
        (answer.confidence, answer.emotion == utterance.emotion)
        for utterance, answer in zip(utterances, predictions, strict=True)
        if answer.confidence is not None
    ]
    confidence, right = zip(*pairs, strict=True)
    return np.array(confidence), np.array(right)


def equal_count_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over bins of equal count (Nixon et al., 2019)."""
    order = np.argsort(confidence, kind="stable")
    gaps = [
        abs(confidence[part].mean() - right[part].mean()) * len(part)
        for part in np.array_split(order, BINS)
    ]
    return float(sum(gaps) / len(order))
