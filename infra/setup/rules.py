"""The rules as the Prometheus operator takes them: `rules.yaml` inside a PrometheusRule.

usage: python infra/setup/rules.py     writes infra/kubernetes/base/rules.yaml (`make rules`)
"""

from pathlib import Path

INFRA = Path(__file__).resolve().parents[1]
RULES = INFRA / "prometheus" / "rules.yaml"
WRAPPED = INFRA / "kubernetes" / "base" / "rules.yaml"

HEAD = """\
# Made of infra/prometheus/rules.yaml by `make rules`: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: moodline
spec:
"""


def wrapped(rules: str) -> str:
    """A rule file's text as a PrometheusRule's, comments and all."""
    lines = [f"  {line}" if line else "" for line in rules.splitlines()]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    WRAPPED.write_text(wrapped(RULES.read_text(encoding="utf-8")), encoding="utf-8")
