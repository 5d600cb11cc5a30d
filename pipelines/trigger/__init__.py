"""What starts a retraining by itself: an alert, or new labelled data. Once for each cause.

A cause comes in by HTTP (`receiver`), is read and checked (`causes`), decided upon by what came
before (`decide`, a pure function over the ledger), and started (`start`): here, or on Kubeflow.
"""

from components.retrainings import PID, Entry, Ledger
from pipelines.trigger.awaited import Awaited
from pipelines.trigger.causes import Cause, NewData, Webhook, alert_cause, data_cause
from pipelines.trigger.cluster_outcomes import ClusterOutcomes
from pipelines.trigger.decide import Decision, Policy, decide
from pipelines.trigger.gauges import Gauges
from pipelines.trigger.receiver import build_app, listening_socket, serve
from pipelines.trigger.start import (
    CannotTell,
    Start,
    nothing_new,
    request_for,
    resume_here,
    start_here,
    start_on_kubeflow,
)
from pipelines.trigger.trigger import Trigger
