"""A challenger beside the champion in production, which may have other labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from components.base import InputError
from components.config import LabelStep, VersionAnswers
from components.conversation import Recording, Turn
from components.evaluate.measure import Measurement, compare, measure

FEWEST = 2
"""Labels that two models must share to be compared."""


def check_labels(labels: Sequence[str], profile: LabelStep) -> None:
    """Refuse a model that tells other emotions apart than the profile names.

    Raises:
        InputError: the labels differ.
    """
    if set(labels) != set(profile.labels):
        raise InputError(
            f"the model tells apart {', '.join(labels)}, and the profile names"
            f" {', '.join(profile.labels)}; take the profile that the model was trained with"
        )


def compare_with_champion(
    challenger: Measurement,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
    champions: Sequence[Turn],
    labels: Sequence[str],
    seed: int,
    columns: Iterable[str] = (),
    answers: VersionAnswers | None = None,
) -> dict[str, Any]:
    """Both models' numbers on the same utterances, today.

    If the champion has other labels, both are measured again on those that they share: on the
    utterances whose reference is one of these, with each answer's probabilities of them alone,
    which then add up to one.

    Args:
        challenger: measured on its own labels.
        recordings: that both were tested on.
        turns: with the challenger's emotions.
        champions: the same turns with the champion's.
        labels: the champion's.
        seed: of the bootstrap.
        columns: as of `measure`.
        answers: what the champion says of its answers, likewise.

    Returns:
        `champion`: its metrics. `comparison`: differences and paired tests; with other labels also
        `labels`, those that they share, and `challenger`, its metrics on them. With fewer than
        `FEWEST` in common there is nothing but both models' labels.
    """
    own = challenger.labels
    if set(labels) == set(own):
        measured = measure(recordings, champions, seed, columns, None, answers, own)
        return {
            "champion": {"labels": list(labels), **measured.metrics},
            "comparison": compare(challenger, measured, seed),
        }
    shared = [label for label in own if label in labels]
    champion: dict[str, Any] = {"labels": list(labels)}
    if len(shared) < FEWEST or not any(
        u.emotion in shared for recording in recordings for u in recording.utterances
    ):
        return {"champion": champion, "comparison": {"labels": shared, "challenger": None}}
    first, second = (
        measure(recordings, on_labels(given, shared), seed, columns, labels=shared)
        for given in (turns, champions)
    )
    of_both = {"labels": shared, "challenger": first.metrics}
    return {
        "champion": champion | second.metrics,
        "comparison": of_both | compare(first, second, seed),
    }


def on_labels(turns: Iterable[Turn], labels: Sequence[str]) -> list[Turn]:
    """Turns whose answers choose among some of their model's labels only.

    >>> sad = Turn("call", 0.0, 1.0, "A", "oh").answered([0.2, 0.3, 0.5], ["angry", "sad", "calm"])
    >>> on_labels([sad], ["angry", "sad"])[0].probabilities
    {'angry': 0.4, 'sad': 0.6}
    """
    return [_on_labels(turn, labels) for turn in turns]


def _on_labels(turn: Turn, labels: Sequence[str]) -> Turn:
    if turn.probabilities is None:
        known = turn.emotion if turn.emotion in labels else None
        return replace(turn, emotion=known, confidence=turn.confidence if known else None)
    parts = [turn.probabilities[label] for label in labels]
    whole = sum(parts)
    # A model that rules all of them out says nothing of them.
    row = [part / whole for part in parts] if whole > 0 else [1 / len(labels)] * len(labels)
    return turn.answered(row, labels)
