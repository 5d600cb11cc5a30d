"""`moodline registry`: the versions, what is in production, and back; `moodline gate`."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from components.base import Refused
from components.config import Settings
from components.scoring import read_verdict
from pipelines.cli.console import note, out, print_json, spinner, user_name
from pipelines.cli.options import AsJson
from pipelines.cli.tables import RESULT_COLOURS, checks_table, facts_table, plain_table

Stage = Literal["staging", "production"]

MAIN_METRIC = re.compile(r"[^.]+|emotions\.\w+\.f1|scores\.wu2023\.\w+|calibration\.ece")
"""The metrics that are shown; --json gives all."""

Actor = Annotated[str | None, typer.Option("--actor", help="Who does it; default: you.")]


def list_command(as_json: AsJson = False) -> None:
    """Every version, the newest first."""
    from components.register import list_versions

    with spinner("asking the registry"):
        versions = list_versions(Settings())
        _say_what_is_gone()
    if as_json:
        return print_json([asdict(version) for version in versions])
    table = plain_table("version", "aliases", "verdict", "signed", "accuracy", "made", "commit")
    for version in versions:
        accuracy = version.metrics.get("accuracy")
        table.add_row(
            str(version.number),
            ", ".join(version.aliases),
            _verdict(version.verdict),
            "yes" if version.signature == "valid" else "no",
            "" if accuracy is None else f"{accuracy:.1%}",
            f"{version.created:%Y-%m-%d %H:%M}",
            version.lineage.get("git_commit", "")[:10],
        )
    return out.print(table if versions else "No version yet; moodline retrain makes one.")


def show_command(
    version: Annotated[str, typer.Argument(help="A number or an alias.")], as_json: AsJson = False
) -> None:
    """One version: its verdict, numbers and lineage."""
    from components.register import show

    with spinner("asking the registry"):
        shown = show(version, Settings())
    if as_json:
        return print_json(asdict(shown))
    facts: dict[str, Any] = {
        "version": shown.number,
        "aliases": ", ".join(shown.aliases) or "–",
        "made": f"{shown.created:%Y-%m-%d %H:%M:%S}",
        "verdict": _verdict(shown.verdict),
        "signature": shown.signature,
        "digest": shown.digest,
        "run": shown.run_id,
        **shown.lineage,
        **{n: f"{v:.4f}" for n, v in sorted(shown.metrics.items()) if MAIN_METRIC.fullmatch(n)},
    }
    table = facts_table(facts)
    for reason in shown.reasons:
        table.add_row("reason", Text(reason))
    return out.print(table)


def promote_command(
    version: Annotated[str, typer.Argument(help="A number, or an alias.")] = "candidate",
    to: Annotated[Stage, typer.Option("--to", help="Where.")] = "production",
    actor: Actor = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; a must with --force, or if a person must decide.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Whatever the verdict says.")] = False,
) -> None:
    """Put a version into production, or into staging, if its verdict passed."""
    from components.register import promote

    with spinner("promoting"):
        who = actor or user_name()
        entry = promote(version, Settings(), actor=who, reason=reason, force=force, to=to)
    out.print(f"Version {entry.to_version} is in {entry.stage}.")


def rollback_command(
    actor: Actor = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    stage: Annotated[Stage, typer.Option("--from", help="Where it is taken from.")] = "production",
) -> None:
    """Put the version before this one back into production; or take what is in staging out."""
    from components.register import rollback

    with spinner("rolling back"):
        who = actor or user_name()
        entry = rollback(Settings(), actor=who, reason=reason, stage=stage)
    if entry.to_version is None:
        out.print(f"Version {entry.from_version} is not in {entry.stage} any more.")
    else:
        out.print(f"Version {entry.to_version} is in {entry.stage} again.")


def history_command(as_json: AsJson = False) -> None:
    """Every change of production and staging: who, when, from, to, on which verdict, why."""
    from components.register import history

    with spinner("asking the registry"):
        entries = history(Settings())
        _say_what_is_gone()
    faults: dict[str, list[str]] = {}
    for entry in entries:
        if entry.fault:
            faults.setdefault(entry.fault, []).append(str(entry.step))
    if faults:
        told = "; ".join(f"step {', '.join(steps)} {fault}" for fault, steps in faults.items())
        note(f"moodline: the history is not to be relied on: {told}")
    if as_json:
        return print_json([asdict(entry) for entry in entries])
    columns = ["step", "when", "who", "what", "where", "from", "to", "verdict", "signed", "reason"]
    table = plain_table(*columns, "")
    for entry in entries:
        table.add_row(
            str(entry.step),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            Text(entry.who),
            entry.action,
            entry.stage,
            str(entry.from_version or "–"),
            str(entry.to_version or "–"),
            _verdict(entry.verdict),
            "yes" if entry.signed else "no",
            Text(entry.reason),
            ("forced" if entry.forced else "") if entry.won else "refused: someone was faster",
        )
    return out.print(table if entries else "Nothing was ever in production or staging.")


def gate_command(
    verdict: Annotated[str, typer.Argument(help="A verdict.json, or a version or its alias.")],
    as_json: AsJson = False,
) -> None:
    """A gate's verdict: each check with its number and threshold.

    Exit status 1: it did not pass.
    """
    path = Path(verdict)
    if path.is_file() or path.suffix or "/" in verdict:
        judged = read_verdict(path)
    else:
        from components.register import verdict_of

        with spinner("asking the registry"):
            judged = verdict_of(verdict, Settings())
    if as_json:
        print_json(judged.to_json())
    else:
        out.print(checks_table(judged))
        if judged.power:
            note(f"The gate's power: {judged.power}")
    if not judged.passed:
        raise Refused(f"the gate says {judged.decision}: {'; '.join(judged.reasons)}")


def sign_command(
    version: Annotated[str, typer.Argument(help="A number or an alias.")],
    reason: Annotated[str, typer.Option("--reason", help="How you know where it comes from.")],
    actor: Actor = None,
) -> None:
    """Vouch for a version that nobody who is trusted here has signed: one of before, say."""
    from components.register import sign_version

    with spinner("signing"):
        number, signed = sign_version(
            version, Settings(), actor=actor or user_name(), reason=reason
        )
    out.print(f"Version {number} is signed with the key {signed.key}.", markup=False)


def key_command(
    new: Annotated[
        bool, typer.Option("--new", help="Sign with a new key from now on; the old one counts.")
    ] = False,
) -> None:
    """The public key of this home; with it in MOODLINE_TRUSTED_KEYS, others trust what it made."""
    from components.register import public_key

    out.print(public_key(Settings(), new=new), markup=False, soft_wrap=True)


def _say_what_is_gone() -> None:
    """Versions that the ledger names in a stage and that somebody has deleted in MLflow."""
    from components.register import gone_versions

    for alias, number in gone_versions(Settings()).items():
        note(
            f"moodline: version {number} is {_PLACES[alias]} by the history, but someone has "
            "deleted it from MLflow"
        )


_PLACES = {
    "production": "in production",
    "staging": "in staging",
    "previous": "what a rollback goes back to",
}


def _verdict(decision: str) -> Text:
    return Text(decision, style=RESULT_COLOURS.get(decision, "yellow"))
