"""The retraining pipeline: a labelled corpus to a version in the registry, if the gate lets it.

 1. preprocess   a corpus to turns and labelled examples: a pipeline of its own, see there
 2. train        examples to a model's folder; on several nodes (`train_nodes`) by a TrainJob
 3. champion     which version is in production, or was before this very model
 4. fetch        its folder, to be measured beside the new one
 5. evaluate     both on the test fold; the gate's verdict
 6. register     a version in MLflow, with all evidence; of a "fail" the evidence alone
 7. engines      its TensorRT engines, made and proven by the Tritons that the profile names, if any
 8. promote      if asked for, and only if the verdict is "pass"

A verdict that says no is a result, not a fault: the run ends well, without a version. A version
whose verdict is "inconclusive" is registered for a person to look at, and promoted by nobody but
that person. A step that fails fails the run; then `finish`, which always runs last, leaves a trace
of it in MLflow.

**Never twice.** A pipeline is built for a profile, and each step is given the parts of the profile
that it needs, digests of what lies outside (`corpus_digest`, `join_feedback`, …), and an
image whose tag is
the code's digest. KFP's caches, on a cluster and in the local runner, know a step by these and by
the artifacts of the steps before. A finished step is not done again, and a killed run continues in
the step that was cut short. Steps that look at the outside world or change it are never taken from
a cache. They find out themselves what was already done: a model with the same evidence keeps its
version, and is promoted once.
"""

import json
from typing import Any

from kfp import dsl

from components.config import Profile, TrainStep
from components.evaluate.component import evaluate
from components.register.component import champion, fetch, finish, promote, register
from components.scoring import FAIL, PASS
from components.train.component import train, train_nodes
from components.train.nodes import TRAINJOB
from pipelines.definitions.code_version import steps_code
from pipelines.definitions.placement import configure_lookup, configure_task
from pipelines.definitions.preprocess import preprocess_pipeline
from pipelines.definitions.trainjob import train_job
from serving.triton.component import engines


def retrain_pipeline(profile: Profile) -> Any:
    """Build the pipeline for a profile."""
    cluster = profile.cluster
    preprocess = preprocess_pipeline(profile)
    whole = profile.model_dump_json(exclude={"cluster"})
    training = train_nodes if cluster.nodes > 1 else train
    job = json.dumps(train_job(profile)) if cluster.nodes > 1 else ""

    @dsl.pipeline(
        name="moodline-retrain",
        display_name="Moodline: retrain",
        description=f"A labelled corpus to a gated version in the registry; profile {profile.name}",
    )
    def retrain(
        corpus: str,
        feedback: str = "",
        cache_name: str = "",
        git_commit: str = "unknown",
        promote_if_passed: bool = False,
        actor: str = "pipeline",
        reason: str = "",
        cause: str = "",
    ) -> None:
        """The pipeline; its steps are listed above.

        Args:
            corpus: the corpus' folder, as the steps see it.
            feedback: what joins it, for training only: `log`, an export's folder, or nothing.
            cache_name: under another name every step is done anew.
            git_commit: of the code, for the version's lineage.
            promote_if_passed: put the new version into production if its verdict is "pass".
            actor: who is named for a promotion.
            reason: why; kept with the version, too.
            cause: what started the run, where nobody did: an alert's key and its address.
        """
        last = finish(
            pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            promotion=promote_if_passed,
            git_commit=git_commit,
            profile=whole,
            corpus=corpus,
            reason=reason,
            cause=cause,
            code=steps_code(cluster),
            engines=cluster.engines is not None,
        )
        configure_lookup(last, "Finish", cluster)
        with dsl.ExitHandler(last, name="retrain"):
            prepared = preprocess(corpus=corpus, feedback=feedback, cache_name=cache_name)
            prepared.set_display_name("Preprocess")
            manifest, turns = prepared.outputs["corpus"], prepared.outputs["turns"]
            trained = training(
                corpus=manifest,
                examples=prepared.outputs["examples"],
                profile=TrainStep.of(profile).model_dump_json(),
                models=prepared.outputs["encoders"],
            )
            configure_task(trained, "Train", cluster)
            if job:
                trained.set_env_variable(TRAINJOB, job)

            best = champion(besides=trained.outputs["Output"])
            configure_lookup(best, "Look up the champion", cluster)
            fetched = configure_task(
                fetch(name=best.output, cache_name=cache_name), "Fetch the champion", cluster
            )
            evaluated = evaluate(
                model=trained.outputs["model"],
                corpus=manifest,
                turns=turns,
                champion=fetched.outputs["model"],
                profile=whole,
            )
            configure_task(evaluated, "Evaluate", cluster)
            version = register(
                model=trained.outputs["model"],
                metrics=evaluated.outputs["metrics"],
                report=evaluated.outputs["report"],
                verdict=evaluated.outputs["verdict"],
                corpus_digest=prepared.outputs["digest"],
                trained_on=prepared.outputs["state"],
                profile=whole,
                git_commit=git_commit,
                reason=reason,
                cause=cause,
                pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            configure_lookup(version, "Register", cluster)

            def promotion(after: Any = None) -> None:
                with (
                    dsl.If(promote_if_passed == True, name="promotion requested"),  # noqa: E712
                    dsl.If(evaluated.outputs["Output"] == PASS, name="passed"),
                ):
                    promoted = promote(version=version.output, actor=actor, reason=reason)
                    configure_lookup(promoted, "Promote", cluster)
                    if after:
                        promoted.after(after)

            if cluster.engines:
                # A person may promote what is inconclusive; nobody serves what was refused.
                with dsl.If(evaluated.outputs["Output"] != FAIL, name="may be served"):
                    makers = cluster.engines.model_dump_json()
                    made = engines(
                        model=trained.outputs["model"],
                        settings=makers,
                        version=version.output,
                        pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                    )
                    configure_lookup(made, "Make engines", cluster)
                    promotion(after=made)
            else:
                promotion()

    return retrain
