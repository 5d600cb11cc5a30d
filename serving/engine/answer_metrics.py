"""Counts answers for Prometheus. Alerts need these counts, whether or not answers are logged."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.conversation import UNKNOWN, Seconds, SpeakerSegment, Turn
from components.traffic import entropy
from serving import metrics
from serving.engine.analysis import Analysis


def count_answers(
    turns: Sequence[Turn], measures: Sequence[Mapping[str, float]], version: int
) -> None:
    """Count the turns that a model version answered, with the measures of each one's sound by
    `turn_measures`."""
    for turn, measured in zip(turns, measures, strict=True):
        metrics.ANSWERS.labels(turn.emotion, version).inc()
        if turn.confidence is not None:
            metrics.CONFIDENCE.labels(version).observe(turn.confidence)
        if turn.uncertain:
            metrics.UNCERTAIN.labels(version).inc()
        metrics.ENTROPY.observe(entropy((turn.probabilities or {}).values()))
        metrics.SNR.observe(measured["snr_db"])
        if turn.asr_confidence is not None:
            metrics.ASR_CONFIDENCE.observe(turn.asr_confidence)


def count_recording(analysis: Analysis) -> None:
    """Count a recording's seconds, turns and words."""
    metrics.AUDIO.inc(analysis.duration)
    speech, overlap = speech_seconds(analysis.speakers)
    metrics.SPEECH.inc(speech)
    metrics.OVERLAP.inc(overlap)
    metrics.TURNS.inc(len(analysis.turns))
    words = [(turn.speaker, len(turn.words.split())) for turn in analysis.turns]
    metrics.WORDS.inc(sum(length for _, length in words))
    without_speaker = sum(length for speaker, length in words if speaker == UNKNOWN)
    metrics.WORDS_WITHOUT.labels("speaker").inc(without_speaker)
    metrics.WORDS_WITHOUT.labels("time").inc(analysis.words_without_times)


def speech_seconds(segments: Sequence[SpeakerSegment]) -> tuple[Seconds, Seconds]:
    """How long anybody speaks, and how long two or more do.

    Segments of one speaker that overlap count once::

        A |----|  |---|
        B    |----|         speech 11, overlap 2
    """
    edges: list[tuple[float, int]] = []
    for speaker in {segment.speaker for segment in segments}:
        reached = -np.inf
        for own in sorted(s for s in segments if s.speaker == speaker):
            if own.end > reached:
                edges += [(max(own.start, reached), 1), (own.end, -1)]
                reached = own.end
    if not edges:
        return 0.0, 0.0
    times, steps = np.array(sorted(edges)).T
    speaking, lengths = steps.cumsum()[:-1], np.diff(times)
    return float(lengths[speaking >= 1].sum()), float(lengths[speaking >= 2].sum())
