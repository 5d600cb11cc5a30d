"""The model card of a version: the model's own, with the test fold's numbers and the verdict."""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

from components.base import InputError
from components.reporting.page import counted, interval, number, percent
from components.scoring import DEFAULT, Verdict

_ROWS = {
    "accuracy (WAR)": ("accuracy",),
    "unweighted recall": ("uar",),
    "macro F1": ("macro_f1",),
    "TEER": ("scores", DEFAULT, "teer"),
    "sTEER": ("scores", DEFAULT, "steer"),
    "DER": ("scores", DEFAULT, "der"),
    "cpWER": ("scores", DEFAULT, "cpwer"),
    "WER": ("words", "wer"),
}

_CARD = """\
{{ card }}
## Numbers on the test fold

{% if metrics.synthetic %}
**Synthetic speech: these numbers say nothing about real people.**

{% endif %}
Fold {{ metrics.test_fold }}: {{ metrics.recordings }} recordings, {{ metrics.utterances }} scored
utterances, through automatic transcription and diarization. Errors over time by convention
{{ default }}; intervals: 95 % bootstrap over conversations.

| | | counted | 95 %, in % |
|---|---|---|---|
{% for row in rows %}
| {{ row.name }} | {{ row.rate }} | {{ row.counted }} | {{ row.interval }} |
{% endfor %}
{% for name, part in emotions.items() %}
| F1 of {{ name }} | {{ percent(part.f1) }} | {{ part.correct }} right of {{ part.reference }}, \
{{ part.answered }} answered | |
{% endfor %}
| calibration error | {{ percent(metrics.calibration.ece) }} | {{ metrics.calibration.total }} \
answers | |

## The gate's verdict: {{ verdict.decision }}

{% if metrics.champion %}
Compared with the model in production, {{ metrics.champion.model[:12] }}, on the same utterances\
{% if shared is not none %}, as far as their reference is an emotion that both tell apart\
{{ " (" + shared | join(", ") + ")" if shared else ": none" }}{% endif %}.
{% else %}
Nothing was in production to compare it with.
{% endif %}
{% if verdict.power %}
The comparison's power: {{ verdict.power }}.
{% endif %}

| check | number | | threshold | |
|---|---|---|---|---|
{% for check in verdict.checks %}
| {{ check.name }}{{ "" if check.decides else " (only reported)" }} \
| {{ number(check.value) }} | {{ check.bound }} | {{ number(check.threshold) }} \
| {{ check.result }} |
{% endfor %}
"""


def version_card(card: str, metrics: Mapping[str, Any], verdict: Verdict) -> str:
    """A version's card as Markdown.

    Args:
        card: the model's own, as training wrote it: data, protocol, limits, what it must not be
            used for.
        metrics: as in `metrics.json`.

    Raises:
        InputError: the metrics lack a number.
    """
    from jinja2 import Environment, StrictUndefined, UndefinedError

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    try:
        return environment.from_string(_CARD).render(
            card=card,
            metrics=metrics,
            verdict=verdict,
            default=DEFAULT,
            rows=[_row(name, metrics, path) for name, path in _ROWS.items()],
            emotions=metrics["emotions"],
            shared=(metrics.get("comparison") or {}).get("labels"),
            percent=percent,
            number=number,
        )
    except (KeyError, TypeError, UndefinedError) as error:
        raise InputError(f"the metrics are not an evaluation's: {error!r}") from None


def _row(name: str, metrics: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, str]:
    """One rate with what it is the quotient of."""
    part: Any = reduce(getitem, path, metrics) or {"rate": None}
    return {
        "name": name,
        "rate": percent(part["rate"]),
        "counted": counted(part),
        "interval": interval(part.get("interval")),
    }
