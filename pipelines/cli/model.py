"""Commands of a retraining's single steps: train a model, evaluate one, register one."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from components.base import (
    InputError,
    Refused,
    atomic_path,
    check_new_folder,
    located,
    tree_digest,
)
from components.config import Profile, Settings, load_profile
from pipelines.cli.console import bar, note, out, spinner
from pipelines.cli.options import DEMO_CORPUS, Changes, ProfileName, profile_and_settings
from pipelines.cli.runs import shown_steps
from pipelines.cli.tables import checks_table, facts_table
from pipelines.definitions.code_version import git_commit
from pipelines.runners.local import run_pipeline

Corpus = Annotated[
    str,
    typer.Option(
        "--corpus",
        metavar="PLACE",
        help="IEMOCAP's layout or a manifest: a folder, or s3://bucket/path.",
    ),
]


def train_command(
    output: Annotated[Path, typer.Option("-o", help="A new folder for the model.")],
    corpus: Corpus = str(DEMO_CORPUS),
    profile: ProfileName = "demo",
    changes: Changes = None,
    examples: Annotated[
        Path | None,
        typer.Option(help="Labelled examples (Parquet) of the corpus; default: they are made."),
    ] = None,
) -> None:
    """A corpus to a model's folder: no gate, and nothing in the registry.

    Next: moodline evaluate, then moodline register. moodline retrain does all three.
    """
    from components.corpus import read_corpus
    from components.train import train

    chosen, settings = profile_and_settings(profile, changes)
    check_new_folder(output)
    if examples is not None and not examples.is_file():
        raise InputError(f"{examples}: no such file; name labelled examples, or leave it out")
    recordings = read_corpus(corpus, settings.finished, chosen)
    rows = examples or _prepared(chosen, corpus, settings)["examples"]
    with bar("training") as progress:
        result = train(rows, recordings, output, chosen, settings, progress)
    shown = {name: f"{value:.3f}" for name, value in result.validation.items()}
    out.print(facts_table({"best epoch": result.best_epoch, **shown, "digest": result.digest}))
    note(f"{output}: next: moodline evaluate {output} --corpus {corpus} -o evaluation/")


def evaluate_command(
    model: Annotated[str, typer.Argument(help="A model's folder, or a version or its alias.")],
    output: Annotated[Path, typer.Option("-o", help="A new folder for numbers and report.")],
    corpus: Corpus = str(DEMO_CORPUS),
    profile: ProfileName = "demo",
    changes: Changes = None,
    fold: Annotated[
        Literal["test", "holdout"],
        typer.Option(help="holdout: what the profile keeps from training and from every gate."),
    ] = "test",
    turns: Annotated[
        Path | None,
        typer.Option(help="A folder of the recordings' turns (SegLST); default: they are made."),
    ] = None,
) -> None:
    """A model, and production's beside it, on the test part or the holdout.

    Writes metrics.json, report.html, predictions.json and, of the test part, the gate's
    verdict.json. Exit status 1: the gate did not pass.
    """
    from components.corpus import check_corpus, read_corpus
    from components.evaluate import (
        check_gate,
        evaluate,
        gate_power,
        headline,
        held_out_recordings,
        read_test_turns,
    )
    from components.register import champion_of, download

    chosen, settings = profile_and_settings(profile, changes)
    check_new_folder(output)
    recordings = read_corpus(corpus, settings.finished, chosen)
    tested = held_out_recordings(recordings, chosen, fold)
    check_gate(recordings, chosen.gate)
    power = gate_power(tested, chosen.gate, chosen.labels)
    if power is not None:
        note(f"{'Warning: little power. ' if power.low else ''}The gate's power: {power}")
    with ExitStack() as stack:
        fetched = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moodline-")))
        with spinner("asking the registry"):
            folder = Path(model)
            if not folder.is_dir():
                if "/" in model:
                    raise InputError(f"{model}: no such folder; name a model's, or a version")
                folder = download(model, fetched / "model", settings)
            best = champion_of(tree_digest(folder), settings)
            champion = None
            if best is not None:
                champion = download(best.number, fetched / "champion", settings)
        _tell_what_it_knew(folder, chosen, [(r.name, r.fold) for r in tested])
        answers = turns or _prepared(chosen, corpus, settings)["turns"]
        with bar("evaluating") as progress:
            evaluation = evaluate(
                folder,
                recordings,
                read_test_turns(answers, recordings, chosen, fold),
                chosen,
                champion=champion,
                synthetic=check_corpus(corpus, cache=settings.finished).synthetic,
                part=fold,
                progress=progress,
            )
    with atomic_path(output) as temporary:
        temporary.mkdir()
        evaluation.write(temporary)
    rates = headline(evaluation.metrics)
    out.print(facts_table({name: f"{rate:.3f}" for name, rate in rates.items()}))
    note(f"Report: {output / 'report.html'}")
    verdict = evaluation.verdict
    if verdict is None:
        return
    out.print(checks_table(verdict))
    if not verdict.passed:
        raise Refused(f"the gate says {verdict.decision}: {'; '.join(verdict.reasons)}")


def register_command(
    model: Annotated[Path, typer.Argument(help="The model's folder.")],
    evaluation: Annotated[Path, typer.Argument(help="What moodline evaluate wrote of it.")],
    corpus: Corpus = str(DEMO_CORPUS),
    profile: ProfileName = "demo",
    changes: Changes = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
) -> None:
    """An evaluated model to a version in the registry. Exit status 1: its gate said fail.

    Corpus and profile are those that it was made and evaluated with. Of a model that the gate
    refused only the evidence is kept. Next: moodline registry promote.
    """
    from components.corpus import check_corpus
    from components.register import Lineage, check_reason, record_refusal, register
    from components.register.evidence import read_metrics
    from components.scoring import FAIL, read_verdict

    chosen, settings = load_profile(profile, changes or ()), Settings()
    check_reason(reason)
    if not model.is_dir():
        raise InputError(f"{model}: no such folder; name the model's")
    files = {
        name: evaluation / file
        for name, file in (
            ("metrics", "metrics.json"), ("report", "report.html"), ("verdict", "verdict.json"),
        )
    }  # fmt: skip
    measured = read_metrics(files["metrics"])
    if measured.get("part") == "holdout":
        raise InputError(
            f"{evaluation}: is of the holdout, which no gate reads; register an evaluation of the"
            " test part"
        )
    if measured.get("configuration") != chosen.digest():
        raise InputError(
            f"{evaluation}: was made with another profile than {profile} as it is now; name that"
            " one, or evaluate again"
        )
    verdict = read_verdict(files["verdict"])
    lineage = Lineage(
        git_commit=git_commit(),
        corpus_digest=check_corpus(corpus, cache=settings.finished).digest,
        profile=chosen,
        reason=reason,
    )
    with spinner("registering"):
        if verdict.decision == FAIL:
            record_refusal(**files, lineage=lineage, settings=settings)
            raise Refused(
                f"not registered: the gate says {verdict}; its evidence is kept in MLflow"
            )
        version = register(model, **files, lineage=lineage, settings=settings)
    out.print(f"Registered as version {version}; the gate says {verdict.decision}.")


def _prepared(profile: Profile, corpus: str, settings: Settings) -> dict[str, Path]:
    """The corpus' `turns` and labelled `examples`; made before, they are not made again."""
    with shown_steps() as on_step:
        arguments = {"corpus": str(located(corpus).resolve())}
        run = run_pipeline("preprocess", profile, arguments, settings, on_step=on_step)
    made = {name: step["artifacts"] for name, step in run.outputs.items()}
    return {
        "turns": Path(made["align"]["turns"]),
        "examples": Path(made["label"]["examples"]),
    }


def _tell_what_it_knew(folder: Path, profile: Profile, tested: list[tuple[str, str]]) -> None:
    """Warn of recordings that the model itself may have learned from, by its own protocol."""
    from components.config import load_train_step

    own = folder / "profile.json"
    if not own.is_file():
        return
    protocol = load_train_step(own.read_text(encoding="utf-8")).protocol
    known = sum(protocol.part(*recording) in ("training", "validation") for recording in tested)
    if known:
        note(
            f"Warning: by the model's own protocol {known} of the {len(tested)} recordings are to"
            " learn from; if they were in its corpus then, its numbers flatter it"
        )
