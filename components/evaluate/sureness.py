"""Whether a version is as sure as it is right, and what it is right about when it is sure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from components.config import VersionAnswers
from components.conversation import Recording, Turn, Utterance
from components.scoring import (
    Calibration,
    Share,
    UtterancePrediction,
    calibration,
    tempered,
    utterance_predictions,
)

Scored = tuple[Utterance, Recording, UtterancePrediction]


def measure_sureness(
    scored: Sequence[Scored], turns: Sequence[Turn], answers: VersionAnswers
) -> dict[str, Any]:
    """Calibration, what it was before the version's temperature, and the certain answers apart.

    Args:
        scored: the utterances that are scored, with their recordings and the system's answers.
        turns: that the answers come from.
        answers: what the version says of its answers.

    Returns:
        Ready for JSON: the calibration; `temperature`; `before`, the calibration at a temperature
        of 1, or None where that is the version's; `uncertain_below`; `coverage`, the certain
        answers of all scored utterances; and `certain`, the right ones of these.
    """
    sure = [one for one in scored if (one[2].confidence or -1.0) >= answers.uncertain_below]
    right = sum(answer.emotion == utterance.emotion for utterance, _, answer in sure)
    before = None
    if answers.temperature != 1:
        # Speakers are mapped by all utterances, the unscored too.
        utterances = [u for recording in _recordings(scored) for u in recording.utterances]
        raw = utterance_predictions(utterances, _untempered(turns, answers.temperature))
        by_id = {(u.recording, u.id): answer for u, answer in zip(utterances, raw, strict=True)}
        untempered = [(u, r, by_id[u.recording, u.id]) for u, r, _ in scored]
        before = _calibration(untempered).to_json()
    return {
        **_calibration(scored).to_json(),
        "temperature": answers.temperature,
        "before": before,
        "uncertain_below": answers.uncertain_below,
        "coverage": Share(len(sure), len(scored)).to_json(),
        "certain": Share(right, len(sure)).to_json(),
    }


def _calibration(scored: Sequence[Scored]) -> Calibration:
    known = [(answer, u.emotion) for u, _, answer in scored if answer.confidence is not None]
    return calibration(
        [answer.confidence or 0.0 for answer, _ in known],
        [answer.emotion == emotion for answer, emotion in known],
    )


def _untempered(turns: Sequence[Turn], temperature: float) -> list[Turn]:
    """The turns as the version answered them at a temperature of 1; exact for turns of one
    window."""
    raw = []
    for turn in turns:
        row = np.array([list((turn.probabilities or {"": 1.0}).values())])
        confidence = float(tempered(row, 1 / temperature).max())
        raw.append(replace(turn, confidence=confidence if turn.probabilities else turn.confidence))
    return raw


def _recordings(scored: Sequence[Scored]) -> list[Recording]:
    return list({recording.name: recording for _, recording, _ in scored}.values())
