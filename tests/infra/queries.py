"""What the dashboard asks Prometheus, taken apart."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

DASHBOARD = Path(__file__).resolve().parents[2] / "infra" / "grafana" / "moodline.json"

_OPERATOR = re.compile(r"\s[-+*/]\s")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Query:
    """A panel's query, its variables filled in, and the labels its legend names."""

    panel: str
    expr: str
    legend: frozenset[str]


def queries() -> list[Query]:
    """Every panel's, in order."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [
        Query(
            panel["title"],
            target["expr"].replace("$__rate_interval", "5m").replace("$version", ".*"),
            frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"])),
        )
        for panel in panels
        for target in panel.get("targets", [])
    ]


def selected(expr: str) -> dict[str, frozenset[str]]:
    """The metrics of a query, each with every label that the query takes it to have."""
    labels_of: dict[str, frozenset[str]] = {}
    for operand in _OPERATOR.split(expr):
        grouped = set(re.findall(r"\w+", " ".join(_GROUPING.findall(operand))))
        bare = _GROUPING.sub("", operand)
        for name, matchers in re.findall(r"\b((?:moodline|nv)[\w:]*)(?:{([^}]*)})?", bare):
            matched = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
            labels_of[name] = labels_of.get(name, frozenset()) | matched | grouped
    return labels_of
