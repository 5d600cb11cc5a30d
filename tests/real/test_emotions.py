"""Emotions of RAVDESS' actors by the demo profile's model, each fold left out in turn."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from components.config import Profile, Settings, load_profile
from components.conversation import Recording, Turn
from components.corpus import read_corpus
from components.scoring import calibration, utterance_predictions
from pipelines.experiments import Results, run_experiment
from pipelines.experiments.run import UNITS
from pipelines.experiments.systems import ALIGNED_FROZEN, ORACLE_FROZEN, System
from pipelines.experiments.transfer import Corpus, Transfer, run_transfer
from tests.real.data import RealData
from tests.real.report import Number, Report

SEEDS = 3
REAL = "RAVDESS, each fold left out in turn, three seeds"
SYNTHETIC = "trained on synthetic voices only (the demo corpus), three seeds"
MARGIN = 0.02
"""By how much the model may be worse than the probe."""


@pytest.fixture(scope="module")
def profile() -> Profile:
    """The demo profile, with three seeds."""
    profile = load_profile("demo")
    seeds = profile.experiment.model_copy(update={"seeds": SEEDS})
    return profile.model_copy(update={"experiment": seeds})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where RAVDESS' transcripts and turns lie."""
    return tmp_path_factory.mktemp("ravdess")


@pytest.fixture(scope="module")
def real(data: RealData, profile: Profile, work: Path) -> Results:
    """The demo profile's model on RAVDESS."""
    settings = Settings()
    recordings = read_corpus(data.ravdess, settings.finished, profile)

    def progress(what: str, done: int, total: int) -> None:
        if what == UNITS:
            print(f"\r{done} of {total} trainings", end="", flush=True)

    return run_experiment("boundaries", recordings, profile, settings, work, progress)


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
    ("system", "name", "margin"),
    [(ORACLE_FROZEN, "true boundaries", MARGIN), (ALIGNED_FROZEN, "sound alone", None)],
)
def test_not_worse_than_the_probe(
    real: Results, report: Report, system: System, name: str, margin: float | None
) -> None:
    """Both on the same turns; the difference is paired by conversation."""
    probe = real.systems[system].numbers["probe"]
    accuracy, test = probe["accuracy"], probe["difference"]
    report.add(
        Number(REAL, f"the probe, {name}", accuracy["rate"], accuracy["interval"], 0.25,
               note="logistic regression on all layers and the words")
    )  # fmt: skip
    interval = test["interval"]
    report.add(
        Number(REAL, f"the model less the probe, {name}: interval's lower end", interval["low"],
               interval, target=None if margin is None else -margin,
               note=f"difference {test['difference']:+.3f}, paired by conversation")
    )  # fmt: skip
    assert probe["utterances"] == real.systems[system].numbers["utterances"]


@pytest.mark.parametrize(
    ("system", "name"),
    [(ORACLE_FROZEN, "true boundaries"), (ALIGNED_FROZEN, "sound alone")],
)
def test_calibration(real: Results, report: Report, system: System, name: str) -> None:
    """Pooled over folds, for each seed; the mean over seeds."""
    errors = [error_of(real.recordings, turns) for turns in turns_by_seed(real, system)]
    error = float(np.mean(errors))
    report.add(
        Number(REAL, f"expected calibration error, {name}", error, target=0.08, better="low",
               note="10 bins of equal count, pooled")
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


@pytest.fixture(scope="module")
def matrix(
    data: RealData,
    profile: Profile,
    demo_corpus: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Transfer:
    """The demo corpus and RAVDESS, each trained on and tested on, from sound alone."""
    settings = Settings()
    synthetic, real = (
        read_corpus(folder, settings.finished, profile) for folder in (demo_corpus, data.ravdess)
    )
    corpora = [Corpus("demo", synthetic, synthetic=True), Corpus("RAVDESS", real)]
    return run_transfer(corpora, profile, settings, tmp_path_factory.mktemp("transfer"), quiet)


@pytest.mark.parametrize(
    ("tested", "name", "target", "aim", "note"),
    [
        ("RAVDESS", "accuracy on RAVDESS, nothing chosen on it", None, 0.45, "0.38 before"),
        ("demo", "accuracy on its own left-out folds", 0.70, None, "the target is that of before"),
    ],
)
def test_trained_on_synthetic_voices_only(
    matrix: Transfer,
    report: Report,
    tested: str,
    name: str,
    target: float | None,
    aim: float | None,
    note: str,
) -> None:
    cell = matrix.cells["demo", tested]
    accuracy = cell.numbers["accuracy"]
    report.add(
        Number(SYNTHETIC, name, accuracy["rate"], accuracy["interval"], cell.chance, target, aim,
               note=f"from sound alone; {note}")
    )  # fmt: skip
    assert cell.numbers["utterances"] > 0


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def turns_by_seed(results: Results, system: System) -> Iterator[list[Turn]]:
    """A system's turns of all folds, for each seed."""
    outcomes = results.systems[system].outcomes
    for seed in sorted({outcome.unit.seed for outcome in outcomes}):
        yield [turn for o in outcomes if o.unit.seed == seed for turn in o.turns]


def error_of(recordings: Sequence[Recording], turns: Sequence[Turn]) -> float:
    """The expected calibration error of the answers to all utterances that have one."""
    utterances = [u for recording in recordings for u in recording.utterances]
    predictions = utterance_predictions(utterances, turns)
    pairs = [
        (answer.confidence, answer.emotion == utterance.emotion)
        for utterance, answer in zip(utterances, predictions, strict=True)
        if answer.confidence is not None
    ]
    error = calibration(*zip(*pairs, strict=True)).ece
    assert error is not None
    return error
