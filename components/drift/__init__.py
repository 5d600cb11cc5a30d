"""Drift: is today's traffic still like what the version in production was made on?

A window of the prediction log is compared with the version's own reference, feature by feature, by
exchanging whole recordings. Beside it stands how right the answers were, by people's feedback.
"""

from components.drift.drift import DriftResult, drift
from components.drift.gauges import no_version_gauges
from components.drift.judge import DriftSettings, DriftVerdict, FeatureDrift, judge_window
from components.drift.live import live_scores
from components.drift.sample import Reference, Sample, read_reference, to_sample
