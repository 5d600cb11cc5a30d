"""The Kubeflow Pipelines components of the registry: `register`, and those around it."""

from kfp import dsl

from components.profile.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def champion(model: dsl.Output[dsl.Model]) -> int:
    """The version in production: its folder and number, or an empty one and 0."""
    from pathlib import Path

    from components.profile import Settings
    from components.register import alias_version, download

    settings, folder = Settings(), Path(model.path)
    version = alias_version("production", settings)
    if version is None:
        folder.mkdir(parents=True)
        return 0
    download(version, folder, settings)
    model.metadata["version"] = version
    return version


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def register(
    model: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    verdict: dsl.Input[dsl.Artifact],
    corpus: dsl.Input[dsl.Dataset],
    profile: str,
    git_commit: str,
) -> int:
    """A model with its verdict to a version in the registry; the version's number."""
    from pathlib import Path

    from components.profile import Settings, load_profile
    from components.register import Lineage, register

    return register(
        Path(model.path),
        Path(metrics.path),
        Path(report.path),
        Path(verdict.path),
        Lineage(git_commit, corpus.metadata["digest"], load_profile(profile)),
        Settings(),
    )


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def record_refusal(
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    verdict: dsl.Input[dsl.Artifact],
    corpus: dsl.Input[dsl.Dataset],
    profile: str,
    git_commit: str,
) -> str:
    """What the gate refused: its numbers and reasons are kept; the id of the MLflow run."""
    from pathlib import Path

    from components.profile import Settings, load_profile
    from components.register import Lineage, record_refusal

    return record_refusal(
        Path(metrics.path),
        Path(report.path),
        Path(verdict.path),
        Lineage(git_commit, corpus.metadata["digest"], load_profile(profile)),
        Settings(),
    )


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def promote(version: int, actor: str, reason: str) -> int:
    """A registered version into production; the ledger's step that did it."""
    from components.profile import Settings
    from components.register import promote

    return promote(version, Settings(), actor=actor, reason=reason).step


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def record_failure(
    git_commit: str,
    profile: str,
    corpus: str,
    status: dsl.PipelineTaskFinalStatus,
) -> None:
    """At the end of a run: if it failed, a trace of it in MLflow."""
    if status.state == "SUCCEEDED":
        return
    import logging

    from components.profile import Settings, load_profile
    from components.register import RegistryError, record_failure

    tags = {
        "git_commit": git_commit,
        "configuration": load_profile(profile).digest(),
        "corpus": corpus,
        "pipeline_run": status.pipeline_job_resource_name,
    }
    try:
        record_failure(status.pipeline_task_name, status.error_message or "", tags, Settings())
    except RegistryError as error:
        # The run has failed already, and says why; MLflow may be that very reason.
        logging.getLogger(__name__).warning("could not record the failure: %s", error)
