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
MEASURES = {"accuracy": "Accuracy", "weighted_f1": "Weighted F1", "macro_f1": "Macro F1"}
WORD_ERRORS = {"wer": "WER", "cpwer": "cpWER", "tcpwer": "tcpWER"}
ALIGNMENT_PAIRS = ((ALIGNED, BASELINE), (ALIGNED_FROZEN, BASELINE_FROZEN))

ABOUT = (
    "Measured: the mean over seeds of all folds together, ± the standard deviation over seeds where"
    " there are several, and the 95 % interval by drawing conversations again.",
    "Every system is trained and tested on its own turns, as in the paper, and scored on the same"
    " reference utterances; one that no turn answers is a wrong answer.",
)
"""The first notes under tables I to IV."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is printed.

    Attributes:
        title: the paper's.
        columns: the first names the rows.
        rows: text, a cell a column; ready to print. The numbers stand in `SystemResult.numbers`.
        notes: under it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def tables(results: Results) -> dict[str, Table]:
    """The tables of an experiment, by name."""
    makers = {
        "table1": {"table1": _table1, "styles": _styles, "others": _others},
        "table2": {"table2": _table2},
        "table3": {"table3": _table3},
        "table4": {"table4": _table4},
        "boundaries": {"boundaries": _boundaries, "others": _others},
    }
    papers = [makers[name] for name in makers if name != "boundaries"]
    experiments = papers if results.name == "all" else [makers[results.name]]
    return {name: make(results) for parts in experiments for name, make in parts.items()}


def _table1(results: Results) -> Table:
    systems = (BASELINE, ALIGNED, BASELINE_FROZEN, ALIGNED_FROZEN)
    return Table(
        "Table I: overall results on emotion recognition, %",
        _with_paper("Setup"),
        (
            _wu_row(results),
            *(_row(results, s, _paper(results, TABLE1, s.method, 3), s.title) for s in systems),
            *(
                _difference_row(results, *pair, f"difference, {pair[0].strategy}")
                for pair in ALIGNMENT_PAIRS
            ),
        ),
        (*ABOUT, *NOTES["table1"]),
    )


def _styles(results: Results) -> Table:
    """Improvised and scripted recordings apart, where the corpus tells which is which."""
    rows = []
    for first, second in ALIGNMENT_PAIRS:
        for style, test in results.comparisons[first, second]["styles"].items():
            for system in (second, first):
                numbers = results.systems[system].numbers["styles"][style]
                cells = [rate_text(numbers[key]) for key in MEASURES]
                rows.append((f"{style}: {system.title}", str(numbers["utterances"]), *cells))
            cells = [_difference(test[key]) for key in MEASURES]
            rows.append((f"{style}: difference, {first.strategy}", "", *cells))
    return Table(
        "Table I, improvised and scripted recordings apart, %",
        ("Setup", "utterances", *MEASURES.values()),
        tuple(rows),
        () if rows else ("The corpus does not say which recordings are scripted.",),
    )


def _others(results: Results) -> Table:
    """What the paper does not print, of every system."""
    rows, notes = [], []
    for system in results.systems.values():
        numbers = system.numbers
        words = numbers["words"]
        notes += [words["note"]] if "note" in words else []
        rows.append(
            (
                numbers["title"],
                rate_text(numbers["uar"]),
                _percent(numbers["accuracy"]["sd_folds"]),
                _percent(numbers["probe"]["accuracy"]["rate"]),
                f"{numbers['ece']:.3f}",
                *(_percent(numbers["agreed"][key]) for key in ("eera", "seera")),
                *(_percent((words.get(key) or {}).get("rate")) for key in WORD_ERRORS),
            )
        )
    return Table(
        "Beside the paper's measures, %; ECE as a share",
        (
            "Setup",
            "UAR",
            "accuracy's deviation over folds",
            "linear probe's accuracy",
            "ECE",
            "EERa",
            "sEERa",
            *WORD_ERRORS.values(),
        ),
        tuple(rows),
        (
            "EERa and sEERa: errors of emotion, and of speaker or emotion, on speech that both"
            " agree is speech. Words do not depend on the model.",
            *dict.fromkeys(notes),
        ),
    )


def _table2(results: Results) -> Table:
    columns = ("Emotion", "F1 without alignment", "paper", "F1 with alignment", "paper",
               "difference")  # fmt: skip
    rows = []
    for aligned, baseline in ALIGNMENT_PAIRS:
        # In the paper's order, then what it does not have.
        order = [label for label in TABLE2 if label in results.labels]
        for emotion in (*order, *(label for label in results.labels if label not in TABLE2)):
            key = f"f1_{emotion}"
            measured = [rate_text(results.systems[s].numbers[key]) for s in (baseline, aligned)]
            printed = _paper(results, TABLE2, emotion, 2)
            paper = [NONE if value is None else f"{value:.0f}" for value in printed]
            cells = _beside(measured, paper)
            difference = _difference(results.comparisons[aligned, baseline][key])
            rows.append((f"{emotion}, {aligned.strategy}", *cells, difference))
    title = "Table II: F1 with and without alignment, %"
    return Table(title, columns, tuple(rows), (*ABOUT, *NOTES["table2"]))


def _table3(results: Results) -> Table:
    columns = ("Pipeline", "Convention", "TEER", "paper", "sTEER", "paper",
               "missed", "false alarm", "confusion", "of", "DER")  # fmt: skip
    rows = [_wu_timed_row(results)]
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
            printed = _paper(results, TABLE3, system.method, 2)
            label = f"{name}, {system.strategy}"
            rows.append(_timed_row(results, system, convention, label, printed))
    count, der = results.about["num_speakers"], results.about["diarization"]["wu2023"]["rate"]
    notes = (
        "Seconds are the mean over seeds, TEER's; confusion is TEER's / sTEER's.",
        "DER is of turns, in which one speaks at a time; the diarizer's own, overlap kept, is"
        f" {_percent(der)} (wu2023)."
        + (f" The diarizer knew that there are {count} speakers." if count else ""),
        "Speech that the corpus gives no label is in no reference: there a turn is a false alarm.",
        *(f"{c.name}: {c.note}." for c in CONVENTIONS.values()),
    )
    title = "Table III: TEER and sTEER of the pipelines, % (lower is better)"
    return Table(title, columns, tuple(rows), (*ABOUT, *notes, *NOTES["table3"]))


def _table4(results: Results) -> Table:
    return Table(
        "Table IV: strategies for the embedding extractors, with alignment, %",
        _with_paper("Strategy"),
        (
            *(
                _row(
                    results,
                    system,
                    _paper(results, TABLE4, system.strategy, 3),
                    f"{system.strategy} embeddings",
                )
                for system in (ALIGNED_FROZEN, ALIGNED)
            ),
            _difference_row(results, ALIGNED, ALIGNED_FROZEN, "difference"),
        ),
        (*ABOUT, *NOTES["table4"]),
    )


def _boundaries(results: Results) -> Table:
    rows = [
        (system.title, *(rate_text(results.systems[system].numbers[key]) for key in MEASURES))
        for system in (ALIGNED_FROZEN, ORACLE_FROZEN)
    ]
    test = results.comparisons[ORACLE_FROZEN, ALIGNED_FROZEN]
    rows.append(("difference", *(_difference(test[key]) for key in MEASURES)))
    columns = ("Setup", *MEASURES.values())
    return Table("From sound alone, and with true boundaries, %", columns, tuple(rows), ABOUT)


def _paper(results: Results, table: Mapping[Any, Any], key: str, size: int) -> Any:
    """What the paper prints for a row: its numbers are of its four labels, and stand beside no
    other."""
    same = set(results.labels) == set(TABLE2)
    return table.get(key, (None,) * size) if same else (None,) * size


def _wu_row(results: Results) -> tuple[str, ...]:
    """Wu et al.'s, measured where the profile has their six categories."""
    printed = _printed(TABLE1["wu"])
    if results.about["published"] != "wu2023":
        return (WU, *_beside([NONE] * 3, printed))
    return _row(results, ALIGNED, TABLE1["wu"], f"{WU}, {ALIGNED.title}")


def _timed_row(
    results: Results, system: System, convention: str, label: str, printed: Sequence[float | None]
) -> tuple[str, ...]:
    """A system's errors over time by a convention, each with what is printed beside it."""
    scores = results.systems[system].numbers["scores"][convention]
    teer, steer = scores["teer"], scores["steer"]
    seconds = [f"{teer[kind]:.0f} s" for kind in ("missed", "false_alarm", "confusion", "total")]
    # sTEER's seconds differ from TEER's in the confusion only.
    seconds[2] = f"{teer['confusion']:.0f} / {steer['confusion']:.0f} s"
    cells = _beside([rate_text(teer), rate_text(steer)], _printed(printed))
    return (label, convention, *cells, *seconds, rate_text(scores["der"]))


def _wu_timed_row(results: Results) -> tuple[str, ...]:
    printed = _printed(TABLE3["wu"])
    if results.about["published"] != "wu2023":
        return (WU, "wu2023", *_beside([NONE] * 2, printed), *[NONE] * 5)
    return _timed_row(results, ALIGNED, "wu2023", f"{WU}, {ALIGNED.title}", TABLE3["wu"])


def _with_paper(first: str) -> tuple[str, ...]:
    return (first, *_beside(list(MEASURES.values()), ["paper"] * 3))


def _row(results: Results, system: System, printed: Row, name: str) -> tuple[str, ...]:
    """A system's measures, each with the paper's beside it."""
    numbers = results.systems[system].numbers
    return (name, *_beside([rate_text(numbers[key]) for key in MEASURES], _printed(printed)))


def _difference_row(results: Results, first: System, second: System, name: str) -> tuple[str, ...]:
    tests = results.comparisons[first, second]
    return (name, *_beside([_difference(tests[key]) for key in MEASURES], [NONE] * 3))


def _beside(measured: Sequence[str], printed: Sequence[str]) -> list[str]:
    return [cell for pair in zip(measured, printed, strict=True) for cell in pair]


def rate_text(part: Mapping[str, Any]) -> str:
    """ "63.2 ± 0.8 [57.1 to 69.0]"."""
    if part["rate"] is None:
        return NONE
    deviation = "" if part["sd_seeds"] is None else f" ± {100 * part['sd_seeds']:.1f}"
    return f"{100 * part['rate']:.1f}{deviation}{_interval(part['interval'])}"


def _difference(test: Mapping[str, Any]) -> str:
    """ "+7.1 [2.0 to 12.3], p 0.012"."""
    if test["difference"] is None:
        return NONE
    p_value = "" if test["p_value"] is None else f", p {test['p_value']:.3f}"
    return f"{signed(test['difference'])}{_interval(test['interval'])}{p_value}"


def _interval(ends: Mapping[str, float] | None) -> str:
    return "" if ends is None else f" [{interval(ends)}]"


def _percent(rate: float | None) -> str:
    return percent(rate).removesuffix(" %")


def _printed(values: Sequence[float | None]) -> list[str]:
    return [NONE if value is None else f"{value:.2f}" for value in values]
