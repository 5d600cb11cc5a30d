"""An experiment from end to end on tiny models: what is run, what is reused, what is counted."""

import numpy as np
import pytest

from components.config import Profile
from components.conversation import Recording
from pipelines.experiments import TABLES, Way
from pipelines.experiments.systems import ALIGNED, ALIGNED_FROZEN, BASELINE, BASELINE_FROZEN


def test_all_is_every_system_on_every_fold(everything) -> None:
    results, told = everything
    assert set(results.systems) == set(TABLES["all"])
    # The oracle's turns are the aligned ones here: what is equal is worked on once.
    assert len(told.trained) == 4 * 3
    assert told.lines[-1] == ("units of work", 18, 18)


def test_each_utterance_is_tested_once_by_a_model_that_saw_neither_it_nor_chose_by_it(
    everything, recordings: list[Recording]
) -> None:
    results, _ = everything
    folds = {recording.name: recording.fold for recording in recordings}
    for found in results.systems.values():
        tested = [name for o in found.outcomes for name in {t.session_id for t in o.turns}]
        assert sorted(tested) == sorted(folds)
        for outcome in found.outcomes:
            unit = outcome.unit
            assert {folds[turn.session_id] for turn in outcome.turns} == {unit.test_fold}
            assert unit.validation_fold != unit.test_fold
            # two recordings of eight turns in the one fold that is left to train on
            assert sum(outcome.validation.values()) <= 16
            assert sum(outcome.training.values()) <= 16


def test_all_systems_are_scored_on_the_same_utterances(everything) -> None:
    results, _ = everything
    assert len(results.scored) == 48
    for found in results.systems.values():
        assert found.numbers["utterances"] == 48
        assert all(len(seed) == 48 for seed in found.right)
        assert np.sum(found.numbers["confusion"]) == 48
        assert {s: p["utterances"] for s, p in found.numbers["styles"].items()} == {
            "improvised": 24, "scripted": 24,
        }  # fmt: skip


def test_every_system_trains_on_its_own_turns(everything) -> None:
    results, _ = everything
    turns = {way: len(faults.turns) for way, faults in results.faults.items()}
    # Without alignment a segment of two utterances is one turn; it covers half of each.
    assert turns == {Way.BASELINE: 24, Way.ALIGNED: 48, Way.ORACLE: 48}
    labelled = {system: found.outcomes[0].training for system, found in results.systems.items()}
    assert sum(labelled[ALIGNED].values()) == 16
    assert sum(labelled[BASELINE].values()) < 16


def test_an_utterance_without_an_answer_is_a_wrong_one(everything) -> None:
    results, _ = everything
    baseline = results.systems[BASELINE_FROZEN]
    # All turns go to the first of two speakers with equal speech: the other is never answered.
    none = np.array(baseline.numbers["confusion"])[:, -1].sum()
    assert none == baseline.numbers["unanswered"][0] > 0
    unanswered = [not answered for answered in baseline.answered[0]]
    assert sum(unanswered) == none
    assert not any(r for r, no in zip(baseline.right[0], unanswered, strict=True) if no)


def test_a_second_run_and_another_table_do_nothing_again(everything, run) -> None:
    first, _ = everything
    for name in ("table4", "all"):
        again, told = run(name)
        assert told.trained == set()
        assert set(again.systems) == set(TABLES[name])
    assert again.systems[ALIGNED].numbers == first.systems[ALIGNED].numbers
    assert again.comparisons == first.comparisons


def test_what_decides_the_work_names_it(everything, run, profile: Profile) -> None:
    def trained(**changes) -> set[str]:
        return run("table4", **changes)[1].trained

    two = profile.experiment.model_copy(update={"seeds": 2})
    more = trained(profile=profile.model_copy(update={"experiment": two}))
    assert len(more) == 6
    assert all(f"seed {profile.seed + 1}" in what for what in more)
    longer = profile.experiment.frozen.model_copy(update={"epochs": 1})
    other = profile.experiment.model_copy(update={"frozen": longer})
    assert all(
        "frozen" in w for w in trained(profile=profile.model_copy(update={"experiment": other}))
    )


def test_with_two_seeds_there_is_a_mean_and_a_deviation(everything, run, profile: Profile) -> None:
    two = profile.experiment.model_copy(update={"seeds": 2})
    results, _ = run("table4", profile=profile.model_copy(update={"experiment": two}))
    found = results.systems[ALIGNED_FROZEN]
    each = [correct / 48 for correct in found.numbers["correct"]]
    assert found.numbers["accuracy"]["rate"] == pytest.approx(np.mean(each))
    assert found.numbers["accuracy"]["sd_seeds"] == pytest.approx(np.std(each, ddof=1))
    one = everything[0].systems[ALIGNED_FROZEN].numbers
    assert one["accuracy"]["sd_seeds"] is None
    assert one["accuracy"]["sd_folds"] is not None
    assert one["correct"] == found.numbers["correct"][:1]
