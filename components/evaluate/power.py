"""The power of a gate's comparison with production, from the labels of the test set alone."""

from collections import Counter
from collections.abc import Callable, Sequence

from components.config import GateSettings
from components.conversation import DEFAULT_LABELS, Recording, Utterance
from components.scoring import Power, power

Weights = Callable[[Sequence[Utterance]], list[float]]


def _each_alike(utterances: Sequence[Utterance]) -> list[float]:
    return [1 / len(utterances)] * len(utterances)


def _each_emotion_alike(utterances: Sequence[Utterance]) -> list[float]:
    counts = Counter(u.emotion for u in utterances)
    return [1 / (len(counts) * counts[u.emotion]) for u in utterances]


def _by_time(utterances: Sequence[Utterance]) -> list[float]:
    total = sum(u.end - u.start for u in utterances)
    return [(u.end - u.start) / total for u in utterances]


WEIGHTS: dict[str, Weights] = {
    "accuracy": _each_alike,
    "weighted_f1": _each_alike,
    "uar": _each_emotion_alike,
    "macro_f1": _each_emotion_alike,
    "teer": _by_time,
    "steer": _by_time,
}
"""How far a rate moves when one utterance is answered rightly instead of wrongly. Of an F1 that is
its recall's, of which it is near."""


def gate_power(
    recordings: Sequence[Recording],
    settings: GateSettings,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> Power | None:
    """The power of the regression check that decides.

    Args:
        recordings: to test on.
        labels: the profile's.

    Returns:
        None where the gate compares nothing, or no utterance has a label that is scored.
    """
    asked = settings.no_regression
    name = asked.deciding if asked else None
    scored = [u for r in recordings for u in r.utterances if u.emotion in labels]
    if asked is None or name is None or not scored:
        return None
    conversations = len(recordings)
    return power(
        name,
        WEIGHTS[name](scored),
        conversations,
        asked.margins(conversations)[name],
        min_conversations=asked.min_conversations,
    )
