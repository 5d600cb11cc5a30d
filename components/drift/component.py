"""The Kubeflow Pipelines component `drift`."""

from kfp import dsl

from components.config import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def drift(
    model: dsl.Input[dsl.Model],
    log: str,
    hours: float,
    version: int,
    verdict: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """The last hours of traffic against the version's reference: ok, drift or too_small.

    The log is a folder that the step can see (a volume).
    """
    from datetime import UTC, datetime, timedelta
    from pathlib import Path

    from components.drift import drift

    since = datetime.now(UTC) - timedelta(hours=hours)
    found = drift(Path(log), Path(model.path), since=since, version=version)
    found.write(verdict=Path(verdict.path), report=Path(report.path))
    verdict.metadata["verdict"] = found.verdict.decision
    metrics.log_metric("turns", found.verdict.turns)
    for feature in found.verdict.features:
        if feature.effect is not None:
            metrics.log_metric(f"{feature.name}.{feature.statistic}", feature.effect)
    return found.verdict.decision
