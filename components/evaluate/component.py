"""The Kubeflow Pipelines components `evaluate`, and `predict` where there is no reference."""

from kfp import dsl

from components.config import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def evaluate(
    model: dsl.Input[dsl.Model],
    corpus: dsl.Input[dsl.Dataset],
    turns: dsl.Input[dsl.Dataset],
    champion: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    verdict: dsl.Output[dsl.Artifact],
    predictions: dsl.Output[dsl.Dataset],
    profile: str,
) -> str:
    """A model, and the one in production, on the test fold, to the gate's decision.

    A decision that says no is no failure. Where nothing is in production, the champion is an empty
    folder, or none at all: an object store keeps no empty ones. The decision is the one unnamed
    output: on a named one kfp 2.17's local runner cannot branch.
    """
    from pathlib import Path

    from components.base import InputError
    from components.config import load_profile
    from components.conversation import read_manifest, write_turns
    from components.evaluate import evaluate, headline, read_test_turns, write_json, write_text

    best = Path(champion.path)
    if champion.metadata.get("version") and not best.is_dir():
        raise InputError("the champion's files are not there, so nothing can be held against it")
    settings, recordings = load_profile(profile), read_manifest(Path(corpus.path))
    evaluation = evaluate(
        Path(model.path),
        recordings,
        read_test_turns(Path(turns.path), recordings, settings),
        settings,
        champion=best if best.is_dir() and any(best.iterdir()) else None,
        synthetic=bool(corpus.metadata.get("synthetic")),
    )
    write_json(Path(metrics.path), evaluation.metrics)
    for name, rate in headline(evaluation.metrics).items():
        metrics.log_metric(name, rate)
    table = evaluation.metrics["confusion"]
    # KFP draws square matrices only: the answers' last column, “none”, is of no reference.
    rows = [*table["counts"], [0] * len(table["answers"])]
    confusion.log_confusion_matrix(table["answers"], rows)
    write_json(Path(confusion.path), table)
    write_text(Path(report.path), evaluation.report())
    judged = evaluation.verdict
    assert judged is not None, "of the test part there always is a verdict"
    write_json(Path(verdict.path), judged.to_json())
    verdict.metadata["verdict"] = judged.decision
    write_turns(Path(predictions.path), evaluation.turns)
    return judged.decision


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def predict(
    model: dsl.Input[dsl.Model],
    corpus: dsl.Input[dsl.Dataset],
    turns: dsl.Input[dsl.Dataset],
    predictions: dsl.Output[dsl.Dataset],
) -> None:
    """Each turn its emotion."""
    from pathlib import Path

    from components.config import version_answers
    from components.conversation import read_manifest
    from components.evaluate import predict_corpus
    from components.fusion import Classifier

    recordings, count = predict_corpus(
        Classifier(Path(model.path)),
        read_manifest(Path(corpus.path)),
        Path(turns.path),
        Path(predictions.path),
        version_answers(Path(model.path)).uncertain_below,
    )
    predictions.metadata.update(recordings=recordings, turns=count)
