"""How the pipelines' runs ended last, by what they left in MLflow."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.config import Profile, Settings
from components.register.runs import ENDED, ENDED_CODE, ENDED_ON, ENDED_RUN
from components.scoring import FAIL, INCONCLUSIVE, PASS, Check, read_verdict
from components.tracking import experiment_id, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ERROR = "error"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How runs ended last.

    Attributes:
        ended: when one ended so, in seconds since 1970: "pass", "fail" and "inconclusive" by its
            gate's decision, "error" where a step failed.
        checks: of the last gate.
        gate: MLflow's id of the run that holds that gate's verdict.
    """

    ended: dict[str, float]
    checks: tuple[Check, ...] = ()
    gate: str = ""


def read_outcomes(settings: Settings, known: Outcomes | None = None) -> Outcomes:
    """Read how the pipelines' runs ended last.

    Args:
        known: as it was before: a verdict that was read is not read again.

    Raises:
        Unavailable: MLflow failed.
    """
    with mlflow_client(settings) as client:
        experiment = experiment_id(client, settings)
        ended: dict[str, float] = {}
        gates: dict[float, str] = {}
        for decision in (PASS, FAIL, INCONCLUSIVE):
            query = f"tags.verdict = '{decision}' and tags.{ENDED} LIKE '%'"
            if run := _last(client, experiment, query, f"tags.{ENDED} DESC"):
                ended[decision] = float(run.data.tags[ENDED])
                gates[ended[decision]] = run.info.run_id
        query = "tags.failure LIKE '%' and attributes.status = 'FAILED'"
        if run := _last(client, experiment, query, "attributes.end_time DESC"):
            ended[ERROR] = run.info.end_time / 1000
        if not gates:
            return Outcomes(ended)
        gate = gates[max(gates)]
        if known and known.gate == gate:
            return Outcomes(ended, known.checks, gate)
        with tempfile.TemporaryDirectory(prefix="moodline-verdict-") as folder:
            path = client.download_artifacts(gate, "verdict.json", folder)
            return Outcomes(ended, read_verdict(Path(path)).checks, gate)


def run_on(trained_on: str, profile: Profile, code: str, settings: Settings) -> str:
    """The last pipeline's run that came to its end on this very data, with this profile and code.

    Args:
        trained_on: as `Lineage.trained_on`.
        code: as `record_end` was told it. A commit would not do: images may be built without one.

    Returns:
        Its id in Kubeflow Pipelines; "" if there was none.

    Raises:
        Unavailable: MLflow failed.
    """
    tags = {ENDED_ON: trained_on, "configuration": profile.digest(), ENDED_CODE: code}
    query = " and ".join(f"tags.{name} = '{text}'" for name, text in tags.items())
    with mlflow_client(settings) as client:
        experiment = experiment_id(client, settings)
        run = _last(client, experiment, f"{query} and tags.{ENDED} LIKE '%'", f"tags.{ENDED} DESC")
        return str(run.data.tags[ENDED_RUN]) if run else ""


def _last(client: "MlflowClient", experiment: str, query: str, order: str) -> "Run | None":
    return next(
        iter(client.search_runs([experiment], query, max_results=1, order_by=[order])), None
    )
