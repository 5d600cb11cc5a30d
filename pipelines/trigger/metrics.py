"""What the trigger counts, for Prometheus.

`docs/metrics.md` lists these beside the metrics of the service and of drift.
"""

from prometheus_client import Counter, Gauge

CAUSES = Counter(
    "moodline_trigger_causes",
    "Causes by what became of them: started, known, cooldown, budget, unchanged (nothing is new),"
    " failed, rehearsed, resolved, unmarked (an alert without retrain=true).",
    ["kind", "outcome"],
)
REFUSED = Counter(
    "moodline_trigger_refused",
    "Requests that were not taken in: unauthorized, malformed, too_large, unavailable.",
    ["reason"],
)
STARTED = Gauge(
    "moodline_trigger_started_timestamp_seconds", "When a retraining was started last.", ["kind"]
)
