"""The service with its watching taken out: nothing of it is counted, and nothing logged.

`tests/benchmarks/test_serving.py` compares the real service with it.
"""

import os
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from serving import metrics

os.environ["MOODLINE_LOG_ON"] = "false"


class _Nothing:
    """Takes the place of any metric."""

    def labels(self, *values: Any) -> "_Nothing":
        return self

    def count(self, *values: Any) -> None:
        """Does not."""

    inc = dec = set = observe = count


for _name, _metric in list(vars(metrics).items()):
    if isinstance(_metric, MetricWrapperBase):
        setattr(metrics, _name, _Nothing())

from serving.api.service import MoodlineService  # noqa: E402

__all__ = ["MoodlineService"]
