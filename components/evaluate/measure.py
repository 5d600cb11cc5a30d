"""All numbers of one system's turns against a corpus' reference."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.config import VersionAnswers
from components.conversation import DEFAULT_LABELS, Recording, Turn
from components.evaluate.slices import RATES, classify, measure_slices
from components.evaluate.sureness import measure_sureness
from components.scoring import (
    CONVENTIONS,
    DEFAULT,
    Classification,
    EmotionErrors,
    Scores,
    Share,
    TimeErrors,
    WordErrors,
    bootstrap,
    mcnemar,
    paired_bootstrap,
    score_each,
    tcpwer,
    turns_by_recording,
    utterance_predictions,
    wer,
    word_speaker_accuracy,
)
from components.scoring.intervals import Statistic
from components.scoring.words import too_many_timed


@dataclass(frozen=True)
class Measurement:
    """A system's numbers, and what is needed to compare it with another.

    Attributes:
        metrics: numerators, denominators, rates, intervals; ready for JSON.
        confusions: [recordings, k, k + 1].
        errors: TEER's and sTEER's by the default convention: seconds in error and in all,
            [recordings, 2].
        emotions: of each turn.
        answers: to each scored utterance; None for none.
        right: whether they are.
        labels: the k emotions that are scored.
    """

    metrics: dict[str, Any]
    confusions: np.ndarray
    errors: dict[str, np.ndarray]
    emotions: tuple[str | None, ...]
    answers: tuple[str | None, ...]
    right: tuple[bool, ...]
    labels: tuple[str, ...] = DEFAULT_LABELS


def measure(
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
    seed: int,
    columns: Iterable[str] = (),
    noise: Mapping[str, str] | None = None,
    answers: VersionAnswers | None = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Measurement:
    """Measure turns with emotions against the recordings' references.

    Args:
        recordings: what all the turns are of, with at least one utterance among them.
        seed: of the bootstrap.
        columns: of the manifest, by whose values there are slices, too.
        noise: as `noise_bands` gives it, if there are to be slices by it.
        answers: what the version says of its answers; None: nothing.
        labels: the emotions that are scored.
    """
    labels = tuple(labels)
    pairs = [
        (utterance, recording) for recording in recordings for utterance in recording.utterances
    ]
    predictions = utterance_predictions([utterance for utterance, _ in pairs], turns, labels)
    scored = [
        (utterance, recording, answer)
        for (utterance, recording), answer in zip(pairs, predictions, strict=True)
        if utterance.emotion in labels
    ]
    each = [classify([s for s in scored if s[1] is recording], labels) for recording in recordings]
    confusions = np.array([part.counts for part in each])
    whole = sum(each, start=Classification.zero(labels))
    over_time, errors = _over_time(recordings, turns, seed, labels)
    metrics = {
        **_with_intervals(whole, confusions, seed),
        "unanswered": {
            "count": sum(answer.emotion is None for _, _, answer in scored),
            "total": len(scored),
        },
        "calibration": measure_sureness(scored, turns, answers or VersionAnswers()),
        **over_time,
        "words": _words(recordings, turns, seed),
        "slices": measure_slices(scored, columns, noise, labels),
    }
    right = tuple(answer.emotion == utterance.emotion for utterance, _, answer in scored)
    emotions = tuple(turn.emotion for turn in turns)
    named = tuple(answer.emotion for _, _, answer in scored)
    return Measurement(metrics, confusions, errors, emotions, named, right, labels)


def compare(first: Measurement, second: Measurement, seed: int) -> dict[str, Any]:
    """Two systems' emotions of the same turns: differences (first − second) and paired tests.

    `differing` counts the utterances that they answered differently, `differing_turns` the turns.
    """
    tests = {
        name: paired_bootstrap(first.confusions, second.confusions, rate, seed=seed)
        for name, rate in RATES.items()
    }
    for name, errors in first.errors.items():
        tests[name] = paired_bootstrap(errors, second.errors[name], _quotient, seed=seed)
    return {
        **{name: test.to_json() for name, test in tests.items()},
        "differing": _differing(first.answers, second.answers),
        "differing_turns": _differing(first.emotions, second.emotions),
        "mcnemar": {"p_value": mcnemar(first.right, second.right), "utterances": len(first.right)},
    }


def _differing(first: Sequence[str | None], second: Sequence[str | None]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def _with_intervals(whole: Classification, confusions: np.ndarray, seed: int) -> dict[str, Any]:
    numbers = whole.to_json()
    for name, rate in RATES.items():
        known = numbers[name] if name == "accuracy" else {"rate": numbers[name]}
        numbers[name] = {**known, "interval": _interval(confusions, rate, seed)}
    return numbers


def _interval(counts: np.ndarray, rate: Statistic, seed: int) -> dict[str, float] | None:
    interval = bootstrap(counts, rate, seed=seed)
    return interval.to_json() if interval else None


def _over_time(
    recordings: Sequence[Recording], turns: Sequence[Turn], seed: int, labels: Sequence[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """TEER, sTEER, EDER, DER and cpWER by every convention.

    For the default one there are intervals, and TEER's and sTEER's seconds of each recording.
    """
    reference = [u.as_turn() for recording in recordings for u in recording.utterances]
    by_convention: dict[str, Any] = {}
    for name, convention in CONVENTIONS.items():
        each = list(score_each(reference, turns, name, labels=labels).values())
        scores = sum(each[1:], start=each[0])
        numbers = scores.to_json()
        if name == DEFAULT:
            counts = {part: _seconds(each, part) for part in ("teer", "steer", "eder", "der")}
            for part, seconds in counts.items():
                numbers[part]["interval"] = _interval(seconds, _quotient, seed)
            errors = {part: counts[part] for part in ("teer", "steer")}
            # EERa and sEERa: confusion over speech that reference and hypothesis agree on.
            agreed = {
                name: part.agreed_to_json()
                for name, part in (("eera", scores.teer), ("seera", scores.steer))
                if part is not None
            }
        by_convention[name] = {**numbers, "note": convention.note}
    return {"scores": by_convention, "agreed": agreed}, errors


def _seconds(each: Sequence[Scores], part: str) -> np.ndarray:
    """Seconds in error and in all, of each recording: [recordings, 2]."""
    errors: list[TimeErrors | EmotionErrors] = [getattr(scores, part) for scores in each]
    return np.array([[e.in_error, e.total] for e in errors])


def _words(recordings: Sequence[Recording], turns: Sequence[Turn], seed: int) -> dict[str, Any]:
    """Of words; tcpWER is None, with a note why, where a recording has too many speakers for it."""
    by_name = turns_by_recording(turns)
    pairs = [([u.as_turn() for u in r.utterances], by_name.get(r.name, [])) for r in recordings]
    speakers = [word_speaker_accuracy(*pair) for pair in pairs]
    shares = np.array([[share.correct, share.total] for share in speakers])
    accuracy = sum(speakers, start=Share.zero()).to_json()
    accuracy["interval"] = _interval(shares, _quotient, seed)
    errors: dict[str, Any] = {"wer": _errors(wer, pairs)}
    if why := next(filter(None, (too_many_timed(*pair) for pair in pairs)), ""):
        errors |= {"tcpwer": None, "note": f"tcpWER is left out: {why}"}
    else:
        errors["tcpwer"] = _errors(tcpwer, pairs)
    return {**errors, "speaker_accuracy": accuracy}


def _errors(
    count: Callable[[Sequence[Turn], Sequence[Turn]], WordErrors],
    pairs: Iterable[tuple[Sequence[Turn], Sequence[Turn]]],
) -> dict[str, Any]:
    return sum((count(*pair) for pair in pairs), start=WordErrors.zero()).to_json()


def _quotient(counts: np.ndarray) -> np.ndarray:
    """counts[..., 0] / counts[..., 1]; NaN of nothing."""
    numerator, denominator = counts[..., 0], counts[..., 1]
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), np.nan)
