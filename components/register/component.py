"""The Kubeflow Pipelines components of the registry: `register`, and those around it."""

from kfp import dsl

from components.config import SLIM_IMAGE


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def champion(required: bool = False, besides: str = "") -> str:
    """The version in production, named so that no other has its name: "3 <digest>"; else "".

    Args:
        required: it is an error if there is none.
        besides: the digest of the model that is to be measured beside it. Where that one is in
            production already, its champion is the one before it, as it was when it got there.
    """
    from components.base import InputError
    from components.config import Settings
    from components.register import champion_of

    version = champion_of(besides, Settings())
    if version is None and required:
        raise InputError("nothing is in production; train a version and promote it")
    return "" if version is None else f"{version.number} {version.digest}"


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def fetch(
    name: str,
    model: dsl.Output[dsl.Model],
    profile: str = "",
    words: str = "",
    speakers: str = "",
    cache_name: str = "",
) -> None:
    """The folder of the version that `champion` named; nothing at all if it named none.

    An object store has no folders, so on a cluster an empty one does not arrive.

    Args:
        profile: that recordings will be heard by, for this version: it has to agree with the
            version's own, or the step fails before anything is heard. Empty: for nothing.
        words, speakers: the digests of that profile's speech models, as `model_digests` names them.
    """
    from pathlib import Path

    from components.config import Settings, check_heard_by
    from components.register import download

    folder = Path(model.path)
    if not name:
        # Where a folder stays one, whoever looks for the output finds it.
        return folder.mkdir(parents=True, exist_ok=True)
    version, digest = name.split()
    model.metadata.update(version=int(version), digest=digest)
    download(int(version), folder, Settings())
    if profile:
        check_heard_by(folder, profile, f"{words} {speakers}".split())


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def register(
    model: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    verdict: dsl.Input[dsl.Artifact],
    corpus_digest: str,
    profile: str,
    git_commit: str,
    reason: str = "",
    cause: str = "",
    pipeline_run: str = "",
    trained_on: str = "",
) -> int:
    """A model with its verdict to a version in the registry; the version's number.

    Of a model that the gate refused only the evidence is kept, and the number is 0.
    """
    from pathlib import Path

    from components.config import Settings, load_profile
    from components.register import Lineage, record_refusal, register
    from components.scoring import FAIL, read_verdict

    lineage = Lineage(
        git_commit=git_commit,
        corpus_digest=corpus_digest,
        profile=load_profile(profile),
        reason=reason,
        cause=cause,
        pipeline_run=pipeline_run,
        trained_on=trained_on,
    )
    inputs = {"metrics": metrics, "report": report, "verdict": verdict}
    files = {name: Path(artifact.path) for name, artifact in inputs.items()}
    if read_verdict(files["verdict"]).decision == FAIL:
        record_refusal(**files, lineage=lineage, settings=Settings())
        return 0
    return register(Path(model.path), **files, lineage=lineage, settings=Settings())


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def promote(version: int, actor: str, reason: str) -> int:
    """A registered version into production; the ledger's step that did it."""
    from components.config import Settings
    from components.register import promote

    return promote(version, Settings(), actor=actor, reason=reason).step


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def finish(
    pipeline_run: str,
    promotion: bool,
    git_commit: str,
    profile: str,
    corpus: str,
    reason: str,
    cause: str,
    code: str = "",
    engines: bool = False,
) -> None:
    """At the end of a run, whatever happened in it: when it ended, or a trace of its failure.

    Both stand in MLflow, where the trigger finds them; see `components.register.record_end`.
    """
    import logging

    from components.base import MoodlineError
    from components.config import Settings, load_profile
    from components.register import record_end

    tags = {
        "git_commit": git_commit,
        "configuration": load_profile(profile).digest(),
        "corpus": corpus,
        "pipeline_run": pipeline_run,
        "reason": reason,
        "cause": cause,
    }
    try:
        record_end(pipeline_run, promotion, tags, Settings(), code=code, engines=engines)
    except MoodlineError as error:
        # A run that failed says why itself; MLflow may be that very reason.
        logging.getLogger(__name__).warning("could not record how the run ended: %s", error)
