"""The tables in the paper's shape, what is said of them, and the page."""

import json
import re
from dataclasses import replace

import pytest

from components.conversation import DEFAULT_LABELS
from components.scoring import CONVENTIONS
from pipelines.cli.experiment import show, to_json
from pipelines.experiments import tables
from pipelines.experiments.explain import count_faults, differences, utterance_groups
from pipelines.experiments.report import experiment_page
from pipelines.experiments.systems import ALIGNED, ALIGNED_FROZEN, BASELINE_FROZEN


@pytest.fixture(scope="module")
def results(everything):
    return everything[0]


def test_the_papers_numbers_stand_beside_the_measured(results) -> None:
    one, apart, others, two, three, four = tables(results).values()
    assert one.columns == (
        "Setup",
        "Accuracy",
        "paper",
        "Weighted F1",
        "paper",
        "Macro F1",
        "paper",
    )
    printed = {row[0]: row[2::2] for row in one.rows}
    assert printed["without alignment, fine-tuned"] == ("56.82", "53.87", "47.10")
    assert printed["with alignment, fine-tuned"] == ("66.81", "66.88", "66.48")
    assert printed["Wu et al. (6 emotions)"][0] == "49.49"
    assert any("66.81" in note and "66.88" in note for note in one.notes)
    assert any("1,618" in note and "308" in note for note in one.notes)
    assert [row[1] for row in apart.rows if "difference" not in row[0]] == ["24"] * 8
    sad = next(row for row in two.rows if row[0] == "sad, fine-tuned")
    assert (sad[2], sad[4]) == ("26", "67")
    assert [row[0].split(",")[0] for row in two.rows[:4]] == ["happy", "angry", "sad", "neutral"]
    assert {row[1] for row in three.rows} == set(CONVENTIONS)
    standard = next(r for r in three.rows if r[0] == "standard pipeline, fine-tuned")
    assert (standard[3], standard[5]) == ("89.35", "90.96")
    assert any("permuted" in note for note in three.notes)
    frozen = next(row for row in four.rows if row[0] == "frozen embeddings")
    assert frozen[2::2] == ("56.82", "53.87", "47.10")
    assert {row[0] for row in others.rows} == {s.title for s in results.systems}
    assert others.columns[1] == "UAR" and "ECE" in others.columns
    probe = others.columns.index("linear probe's accuracy")
    assert all(0 < float(row[probe]) <= 100 for row in others.rows)
    assert any("the diarizer's own" in note and "2 speakers" in note for note in three.notes)
    for table in (one, apart, others, two, three, four):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_of_other_labels_the_papers_numbers_stand_beside_nothing(results) -> None:
    """Six categories stand beside Wu et al.'s numbers, as the profile `wu2023` asks."""
    labels = ("happy", "sad", "angry", "neutral", "other", "no agreement")
    about = results.about | {"published": "wu2023"}
    changes = {"six": {"labels": labels, "about": about}, "other": {"labels": labels}}
    for name, changed in changes.items():
        one, three, four = (
            tables(replace(results, name=table, **changed))[table]
            for table in ("table1", "table3", "table4")
        )
        first, *others = one.rows
        assert first[2] == "49.49"
        assert (first[1] == next(r[1] for r in others if r[0] == ALIGNED.title)) is (name == "six")
        assert {cell for row in (*others, *four.rows) for cell in row[2::2]} == {"–"}
        assert three.rows[0][3] == "66.03" and three.rows[0][5] == "65.17"
        assert (three.rows[0][2] != "–") is (name == "six")
        assert {cell for row in three.rows[1:] for cell in (row[3], row[5])} == {"–"}


def test_cells_are_what_was_counted(results) -> None:
    numbers = results.systems[ALIGNED_FROZEN].numbers
    rate, interval = numbers["accuracy"]["rate"], numbers["accuracy"]["interval"]
    probe = numbers["probe"]
    assert probe["utterances"] == 48
    assert probe["difference"]["difference"] == pytest.approx(rate - probe["accuracy"]["rate"])
    assert rate == numbers["correct"][0] / numbers["utterances"]
    assert interval["low"] <= rate <= interval["high"]
    cell = next(r for r in tables(results)["table1"].rows if r[0] == "with alignment, frozen")[1]
    assert cell == f"{100 * rate:.1f} [{100 * interval['low']:.1f} to {100 * interval['high']:.1f}]"
    test = results.comparisons[ALIGNED_FROZEN, BASELINE_FROZEN]["accuracy"]
    baseline = results.systems[BASELINE_FROZEN].numbers["accuracy"]["rate"]
    assert test["difference"] == pytest.approx(rate - baseline)


def test_steer_is_never_below_teer_but_by_the_papers_code(results) -> None:
    for result in results.systems.values():
        for convention in ("wu2023", "collar0"):
            scores = result.numbers["scores"][convention]
            assert scores["steer"]["rate"] >= scores["teer"]["rate"] - 1e-12


def test_faults_are_counted_from_the_turns(results) -> None:
    counts = count_faults(results)
    # Every segment of two utterances goes whole to A: B's two words are A's by mistake.
    assert counts["baseline"]["misattributed_words"] == 6 * 4 * 2
    assert counts["baseline"]["mixed"] == counts["baseline"]["merged"] == 48
    assert counts["baseline"]["turns_of_several_speakers"] == counts["baseline"]["turns"] == 24
    assert counts["baseline"]["whole"] == 0
    assert counts["aligned"]["whole"] == 48
    assert counts["aligned"]["misattributed_words"] == counts["aligned"]["lost_words"] == 0


def test_the_groups_add_up_to_the_difference(results) -> None:
    pair = (ALIGNED_FROZEN, BASELINE_FROZEN)
    *groups, everything = utterance_groups(results, *pair)
    assert sum(group.utterances for group in groups) == everything.utterances == 48
    difference = results.comparisons[pair]["accuracy"]["difference"]
    assert sum(group.gain for group in groups) == pytest.approx(48 * difference)
    assert everything.gain == pytest.approx(48 * difference)
    assert {group.name for group in groups if group.utterances} == {"whole only with alignment"}


def test_a_difference_whose_interval_covers_zero_is_noise(results) -> None:
    rows = differences(results)
    assert len(rows) == 2 * len(results.comparisons)
    for row in rows:
        interval = row["interval"]
        assert row["noise"] is (interval["low"] <= 0 <= interval["high"])
        assert interval["low"] <= row["difference"] <= interval["high"]


def test_the_json_holds_every_number_and_is_json(results) -> None:
    content = json.loads(json.dumps(to_json(results), allow_nan=False))
    assert content["synthetic"] is True
    assert set(content["tables"]) == {"table1", "styles", "others", "table2", "table3", "table4"}
    aligned = content["systems"]["aligned/fine-tuned"]
    assert set(aligned["scores"]) == set(CONVENTIONS)
    assert {f"f1_{emotion}" for emotion in DEFAULT_LABELS} <= set(aligned)
    unit = aligned["units"][0]
    assert unit["history"][0]["epoch"] == 1
    assert unit["validation_fold"] != unit["test_fold"]


def test_tables_are_printed(results, capsys: pytest.CaptureFixture[str]) -> None:
    show(results)
    printed = capsys.readouterr().out
    for part in ("Synthetic speech", "Table I:", "Table II:", "Table III:", "Table IV:", "89.35",
                 "Differences between systems", "six emotions"):  # fmt: skip
        assert part in printed


def test_the_page_is_whole_and_stands_alone(results) -> None:
    page = experiment_page(results)
    assert "<script" not in page
    assert re.findall(r"src=|href=\"[^#]|url\([^#]|@import|https?:", page) == []
    assert "prefers-color-scheme: dark" in page
    for part in ("Table III", "Learning curves", "Confusion of emotions", "Synthetic speech",
                 "Figure 3", "Differences between systems"):  # fmt: skip
        assert part in page
    for kind in (": best epoch", ": training loss", ": validation loss"):
        assert len(re.findall(f"<title>[^<]*{kind}", page)) >= 6 * 3  # one a unit
    assert page.count("<figure") == 6 * 2
    assert "48 words of another speaker" not in page
    assert "2 words of another speaker" in page
