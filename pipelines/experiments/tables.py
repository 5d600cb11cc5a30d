"""The paper's four tables: the measured rows, with the printed ones beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.reporting.page import interval, percent, signed
from components.scoring import CONVENTIONS
from pipelines.experiments.paper import NOTES, TABLE1, TABLE2, TABLE3, TABLE4, Row
from pipelines.experiments.results import Results
from pipelines.experiments.systems import (
    ALIGNED,
    ALIGNED_FROZEN,
    BASELINE,
    BASELINE_FROZEN,
    ORACLE,
    ORACLE_FROZEN,
    System,
)

NONE = "–"
WU = "Wu et al. (6 emotions)"

ABOUT = (
    "Measured: the mean over seeds of all folds together, ± the standard deviation over seeds where"
    " there are several, and the 95 % interval by drawing conversations again.",
    "Every system is trained and tested on its own turns, as in the paper, and scored on the same"
    " reference utterances; one that no turn answers is a wrong answer.",
)
"""What stands under every table."""

SECONDS = "Seconds are the mean over seeds, TEER's; confusion is TEER's / sTEER's."


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is printed.

    Attributes:
        name: "table1", …
        title: the paper's.
        columns: the first names the rows.
        rows: text, a cell a column; ready to print.
        notes: under it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As it is printed; the numbers themselves stand under `systems`."""
        return {
            "title": self.title,
            "columns": self.columns,
            "rows": self.rows,
            "notes": self.notes,
        }


def tables(results: Results) -> list[Table]:
    """The tables of an experiment."""
    makers = {
        "table1": (_table1, _styles, _others),
        "table2": (_table2,),
        "table3": (_table3,),
        "table4": (_table4,),
    }
    names = makers if results.name == "all" else (results.name,)
    return [make(results) for name in names for make in makers[name]]


MEASURES = (("Accuracy", "accuracy"), ("Weighted F1", "weighted_f1"), ("Macro F1", "macro_f1"))


def _table1(results: Results) -> Table:
    rows = [_paper_row(WU, TABLE1["wu"])]
    for system in (BASELINE, ALIGNED, BASELINE_FROZEN, ALIGNED_FROZEN):
        printed = TABLE1[str(system.way)]
        rows.append(_row(results, system, printed))
    rows += [
        (f"difference, {first.strategy}", *_differences(results, first, second))
        for first, second in ((ALIGNED, BASELINE), (ALIGNED_FROZEN, BASELINE_FROZEN))
    ]
    return Table(
        name="table1",
        title="Table I: overall results on emotion recognition, %",
        columns=("Setup", *_with_paper([name for name, _ in MEASURES])),
        rows=tuple(rows),
        notes=(*ABOUT, *NOTES["table1"]),
    )


def _styles(results: Results) -> Table:
    """Improvised and scripted recordings apart, where the corpus tells which is which."""
    rows = []
    for first, second in ((ALIGNED, BASELINE), (ALIGNED_FROZEN, BASELINE_FROZEN)):
        tests = results.comparisons[first, second]["styles"]
        for style, test in tests.items():
            for system in (second, first):
                numbers = results.systems[system].numbers["styles"][style]
                cells = [_rate(numbers[key]) for _, key in MEASURES]
                rows.append((f"{style}: {system.title}", str(numbers["utterances"]), *cells))
            cells = [_difference(test[key]) for _, key in MEASURES]
            rows.append((f"{style}: difference, {first.strategy}", "", *cells))
    return Table(
        name="styles",
        title="Table I, improvised and scripted recordings apart, %",
        columns=("Setup", "utterances", *(name for name, _ in MEASURES)),
        rows=tuple(rows),
        notes=() if rows else ("The corpus does not say which recordings are scripted.",),
    )


OTHERS = (("wer", "WER"), ("cpwer", "cpWER"), ("tcpwer", "tcpWER"))


def _others(results: Results) -> Table:
    """What the paper does not print, of every system."""
    rows = []
    for system in results.systems.values():
        numbers = system.numbers
        folds, words = numbers["accuracy"]["sd_folds"], numbers["words"]
        rows.append(
            (
                numbers["title"],
                _rate(numbers["uar"]),
                NONE if folds is None else f"{100 * folds:.1f}",
                f"{numbers['ece']:.3f}",
                *(_percent(numbers["agreed"][key]) for key in ("eera", "seera")),
                *(_percent(words[key]["rate"]) for key, _ in OTHERS if key in words),
            )
        )
    return Table(
        name="others",
        title="Beside the paper's measures, %; ECE as a share",
        columns=(
            "Setup",
            "UAR",
            "accuracy's deviation over folds",
            "ECE",
            "EERa",
            "sEERa",
            *(title for key, title in OTHERS if key in words),
        ),
        rows=tuple(rows),
        notes=(
            "EERa and sEERa: errors of emotion, and of speaker or emotion, on speech that both"
            " agree is speech. Words do not depend on the model.",
        ),
    )


def _table2(results: Results) -> Table:
    columns = ("Emotion", "F1 without alignment", "paper", "F1 with alignment", "paper",
               "difference")  # fmt: skip
    rows = []
    for strategy in ((BASELINE, ALIGNED), (BASELINE_FROZEN, ALIGNED_FROZEN)):
        without, aligned = strategy
        for emotion, printed in TABLE2.items():
            measured = [_rate(results.systems[s].numbers[f"f1_{emotion}"]) for s in strategy]
            test = results.comparisons[aligned, without][f"f1_{emotion}"]
            rows.append(
                (
                    f"{emotion}, {aligned.strategy}",
                    measured[0],
                    f"{printed[0]:.0f}",
                    measured[1],
                    f"{printed[1]:.0f}",
                    _difference(test),
                )
            )
    return Table(
        name="table2",
        title="Table II: F1 with and without alignment, %",
        columns=columns,
        rows=tuple(rows),
        notes=(*ABOUT, *NOTES["table2"]),
    )


def _table3(results: Results) -> Table:
    columns = ("Pipeline", "Convention", "TEER", "paper", "sTEER", "paper",
               "missed", "false alarm", "confusion", "of", "DER")  # fmt: skip
    wu = [f"{value:.2f}" for value in TABLE3["wu"]]
    rows = [(WU, "wu2023", *_beside([NONE] * 2, wu), *[NONE] * 5)]
    names = {
        BASELINE: "without alignment",
        ALIGNED: "standard pipeline",
        ORACLE: "VAD-oracle pipeline",
        ORACLE_FROZEN: "VAD-oracle pipeline",
        BASELINE_FROZEN: "without alignment",
        ALIGNED_FROZEN: "standard pipeline",
    }
    for convention in CONVENTIONS:
        for system, name in names.items():
            if system not in results.systems:
                continue
            scores = results.systems[system].numbers["scores"][convention]
            printed = TABLE3.get(str(system.way))
            beside = (f"{printed[0]:.2f}", f"{printed[1]:.2f}") if printed else (NONE, NONE)
            kinds = ("missed", "false_alarm", "confusion", "total")
            seconds = [f"{scores['teer'][kind]:.0f} s" for kind in kinds]
            # sTEER's seconds differ from TEER's in the confusion only.
            seconds[2] = f"{scores['teer']['confusion']:.0f} / {scores['steer']['confusion']:.0f} s"
            rows.append(
                (
                    f"{name}, {system.strategy}",
                    convention,
                    _rate(scores["teer"]),
                    beside[0],
                    _rate(scores["steer"]),
                    beside[1],
                    *seconds,
                    _rate(scores["der"]),
                )
            )
    conventions = tuple(f"{c.name}: {c.note}." for c in CONVENTIONS.values())
    about = results.about
    count, wu = about["num_speakers"], about["diarization"]["wu2023"]["rate"]
    about_diarization = (
        f"DER is of turns, in which one speaks at a time; the diarizer's own, overlap kept, is"
        f" {_percent(wu)} (wu2023)."
        + (f" The diarizer knew that there are {count} speakers." if count else ""),
        "Speech that the corpus gives no label is in no reference: there a turn is a false alarm.",
    )
    return Table(
        name="table3",
        title="Table III: TEER and sTEER of the pipelines, % (lower is better)",
        columns=columns,
        rows=tuple(rows),
        notes=(*ABOUT, SECONDS, *about_diarization, *conventions, *NOTES["table3"]),
    )


def _table4(results: Results) -> Table:
    rows = [
        _row(results, system, TABLE4[str(system.strategy)], f"{system.strategy} embeddings")
        for system in (ALIGNED_FROZEN, ALIGNED)
    ]
    rows.append(("difference", *_differences(results, ALIGNED, ALIGNED_FROZEN)))
    return Table(
        name="table4",
        title="Table IV: strategies for the embedding extractors, with alignment, %",
        columns=("Strategy", *_with_paper([name for name, _ in MEASURES])),
        rows=tuple(rows),
        notes=(*ABOUT, *NOTES["table4"]),
    )


def _with_paper(names: Sequence[str]) -> list[str]:
    return [column for name in names for column in (name, "paper")]


def _row(
    results: Results, system: System, printed: Row, name: str | None = None
) -> tuple[str, ...]:
    """A system's measures, each with the paper's beside it."""
    numbers = results.systems[system].numbers
    measured = [_rate(numbers[key]) for _, key in MEASURES]
    return (name or system.title, *_beside(measured, [_printed(value) for value in printed]))


def _paper_row(name: str, printed: Row) -> tuple[str, ...]:
    return (name, *_beside([NONE] * 3, [_printed(value) for value in printed]))


def _differences(results: Results, first: System, second: System) -> list[str]:
    tests = results.comparisons[first, second]
    return _beside([_difference(tests[key]) for _, key in MEASURES], [NONE] * 3)


def _beside(measured: Sequence[str], printed: Sequence[str]) -> list[str]:
    return [cell for pair in zip(measured, printed, strict=True) for cell in pair]


def _rate(part: Mapping[str, Any]) -> str:
    """ "63.2 ± 0.8 [57.1 to 69.0]"."""
    if part["rate"] is None:
        return NONE
    text = f"{100 * part['rate']:.1f}"
    if part["sd_seeds"] is not None:
        text += f" ± {100 * part['sd_seeds']:.1f}"
    return text + _interval(part["interval"])


def _difference(test: Mapping[str, Any]) -> str:
    """ "+7.1 [2.0 to 12.3], p 0.012"."""
    if test["difference"] is None:
        return NONE
    text = signed(test["difference"]) + _interval(test["interval"])
    return text if test["p_value"] is None else f"{text}, p {test['p_value']:.3f}"


def _interval(ends: Mapping[str, float] | None) -> str:
    return "" if ends is None else f" [{interval(ends)}]"


def _percent(rate: float | None) -> str:
    return percent(rate).removesuffix(" %")


def _printed(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"
