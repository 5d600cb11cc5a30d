"""`moodline score`: a hypothesis against a reference."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import is_normalized

import typer
from rich.table import Table

from components.base import InputError, validate
from components.config import LabelStep
from components.conversation import (
    DEFAULT_LABELS,
    Seconds,
    Turn,
    has_unspaced,
    labels_of,
    read_turns,
    read_uem,
    turns_from_rttm,
)
from pipelines.cli.console import note, out, print_json
from pipelines.cli.options import AsJson
from pipelines.cli.tables import plain_table, right
from pipelines.cli.word_scores import show_word_speakers

ROUNDING: Seconds = 0.01
"""Two turns of one speaker may overlap by this much, for times are often rounded."""

WORD_ROWS = {
    "cpwer": "cpWER",
    "emotion_cpwer": "cpWER, emotions",
    "tcpwer": "tcpWER",
    "wer": "WER",
    "cer": "CER",
}

ConventionName = Literal["wu2023", "collar0", "ser-align"]


def score_command(
    reference: Annotated[Path, typer.Argument(help="SegLST JSON, or RTTM where DER is enough.")],
    hypothesis: Annotated[Path, typer.Argument(help="The same of what is scored.")],
    convention: Annotated[
        ConventionName, typer.Option("--convention", help="How errors over time are counted.")
    ] = "wu2023",
    uem: Annotated[Path | None, typer.Option("--uem", help="Only score these stretches.")] = None,
    with_tcpwer: Annotated[
        bool, typer.Option("--tcpwer", help="Also tcpWER; long recordings take it gigabytes.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="A,B,…",
            help="The emotions that are scored; default: angry, happy, neutral and sad, or, where"
            " probabilities in the files name others, what these name.",
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words",
            help="Instead, who said each word: word-speaker error, changes of speaker, whole"
            " utterances, cpWER, tcpWER. WhisperX's words with speakers are taken, too; long"
            " recordings take it gigabytes.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Emotion, speaker and word errors: TEER, sTEER, EDER, DER, cpWER and what goes with them.

    Seconds are summed over recordings, then divided. “cpWER, emotions”: a word also needs the right
    emotion. The convention stands with every number. EERa
    and sEERa are the emotion errors on speech that both agree is speech. Words are compared in
    lower case and without punctuation, letters in Unicode's NFC; numbers stay as they are written.
    """
    from components.scoring import cer, score, score_words, tcpwer, wer

    if words:
        if uem is not None or labels is not None or with_tcpwer or convention != "wu2023":
            raise InputError("--words counts all words, and tcpWER with them: leave out the others")
        return show_word_speakers(reference, hypothesis, as_json)
    true, predicted = _read(reference), _read(hypothesis)
    named = labels_of([*true, *predicted])
    # Who writes only the likeliest of the four is scored on the four all the same.
    scored = named if set(named) - set(DEFAULT_LABELS) else DEFAULT_LABELS
    if labels is not None:
        scored = _labels(labels)
    for path, turns in ((reference, true), (hypothesis, predicted)):
        for oddity in _oddities(turns, scored):
            note(f"moodline: {path}: {oddity}")
    stretches = None if uem is None else read_uem(uem)
    scores = score(true, predicted, convention, stretches, scored)
    numbers = scores.to_json() | {
        "eera": scores.teer.agreed_to_json() if scores.teer else None,
        "seera": scores.steer.agreed_to_json() if scores.steer else None,
    }
    counts = {"wer": wer}
    if any(has_unspaced(turn.words) for turn in true):
        counts["cer"] = cer
        note(
            "moodline: the reference has text that is written without spaces, so a whole sentence"
            " may count as one word; read the character errors (CER)"
        )
    if with_tcpwer:
        counts["tcpwer"] = tcpwer
    whole = [all(is_normalized("NFC", t.words) for t in turns) for turns in (true, predicted)]
    if whole[0] != whole[1]:
        note(
            f"moodline: the {'hypothesis' if whole[0] else 'reference'} has letters written in"
            " parts (“é” as “e” and an accent), the other has not; they are put together"
            " (Unicode's NFC) before they are compared"
        )
    digits = [_words_with_digits(turns) for turns in (true, predicted)]
    if digits[0] != digits[1]:
        note(
            f"moodline: the reference has {digits[0]} words with digits, the hypothesis"
            f" {digits[1]}; “42” and “forty-two” count as different words"
        )
    for name, count in counts.items():
        errors = score_words(true, predicted, count, stretches)
        numbers[name] = errors.to_json() if errors else None
    return print_json(numbers) if as_json else out.print(_table(numbers))


def _labels(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    return validate(LabelStep, {"labels": names}, "--labels").labels


def _words_with_digits(turns: Sequence[Turn]) -> int:
    words = (word for turn in turns for word in turn.words.split())
    return sum(any(map(str.isdigit, word)) for word in words)


def _oddities(turns: Sequence[Turn], labels: Sequence[str]) -> Iterator[str]:
    """What is probably a mistake in the turns, though it can be scored."""
    if others := sorted({t.emotion for t in turns if t.emotion} - set(labels)):
        yield (
            f"has the labels {', '.join(others)}, which are none of {', '.join(labels)};"
            " in a reference they are not scored, in a hypothesis they are never right"
        )
    ends: dict[tuple[str, str], Turn] = {}
    for turn in sorted(turns, key=lambda turn: turn.start):
        key = (turn.session_id, turn.speaker)
        if key in ends and turn.start < ends[key].end - ROUNDING:
            yield (
                f"{turn.session_id}: {turn.speaker} begins a turn at {turn.start:.2f} s, within"
                f" their own that ends at {ends[key].end:.2f} s; both are counted"
            )
            return  # one is enough; a file may have thousands
        ends[key] = max(turn, ends.get(key, turn), key=lambda turn: turn.end)


def _table(numbers: dict[str, Any]) -> Table:
    table = plain_table(
        "", *right("rate", "missed", "false alarm", "confusion", "overlap", "total")
    )
    table.title = f"convention {numbers['convention']}"
    for name, shown in (
        ("teer", "TEER"), ("steer", "sTEER"), ("eder", "EDER"), ("der", "DER")
    ):  # fmt: skip
        part = numbers[name]
        if part is None:
            table.add_row(shown, "–", "no emotions")
            continue
        seconds = [f"{part[k]:.2f} s" for k in ("missed", "false_alarm", "confusion", "total")]
        overlap = f"{part['overlap']:.2f} s" if "overlap" in part else ""
        table.add_row(shown, _rate(part["rate"]), *seconds[:3], overlap, seconds[3])
    for name, shown in (("eera", "EERa"), ("seera", "sEERa")):
        if part := numbers[name]:
            confusion, agreed = (f"{part[k]:.2f} s" for k in ("confusion", "agreed"))
            table.add_row(shown, _rate(part["rate"]), "", "", confusion, "", agreed)
    for name, shown in WORD_ROWS.items():
        if name not in numbers:
            continue
        if (part := numbers[name]) is None:
            nothing = "no words or emotions" if name == "emotion_cpwer" else "no words"
            table.add_row(shown, "–", nothing)
        else:
            unit = "characters" if name == "cer" else "words"
            counts = (f"{part['errors']} errors", "", f"{part['length']} {unit}")
            table.add_row(shown, _rate(part["rate"]), "", "", *counts)
    return table


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2%}"


def _read(path: Path) -> list[Turn]:
    return turns_from_rttm(path) if path.suffix.lower() == ".rttm" else read_turns(path)
