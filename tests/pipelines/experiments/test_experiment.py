"""An experiment from end to end on tiny models: what is run, what is reused, what is counted."""

import numpy as np
import pytest

from components.config import Profile
from components.conversation import Recording
from pipelines.experiments import TABLES, TurnMethod
from pipelines.experiments.systems import ALIGNED, ALIGNED_FROZEN, BASELINE, BASELINE_FROZEN


def test_all_is_every_system_on_every_fold(everything) -> None:
    results, progress = everything
    assert set(results.systems) == set(TABLES["all"])
    # The oracle's turns are the aligned ones here: what is equal is worked on once.
    assert len(progress.trained) == 4 * 3
    assert progress.lines[-1] == ("units of work", 18, 18)


def test_each_utterance_is_tested_once_by_a_model_that_saw_neither_it_nor_chose_by_it(
    everything, recordings: list[Recording]
) -> None:
    results, _ = everything
    folds = {recording.name: recording.fold for recording in recordings}
    for result in results.systems.values():
        tested = [name for o in result.outcomes for name in {t.session_id for t in o.turns}]
        assert sorted(tested) == sorted(folds)
        for outcome in result.outcomes:
            unit = outcome.unit
            assert {folds[turn.session_id] for turn in outcome.turns} == {unit.test_fold}
            assert unit.validation_fold != unit.test_fold
            # two recordings of eight turns in the one fold that is left to train on
            assert sum(outcome.validation.values()) <= 16
            assert sum(outcome.training.values()) <= 16


def test_all_systems_are_scored_on_the_same_utterances(everything) -> None:
    results, _ = everything
    for result in results.systems.values():
        assert result.numbers["utterances"] == 48
        assert all(len(seed) == 48 for seed in result.right)
        assert np.sum(result.numbers["confusion"]) == 48
        assert {s: p["utterances"] for s, p in result.numbers["styles"].items()} == {
            "improvised": 24, "scripted": 24,
        }  # fmt: skip


def test_every_system_trains_on_its_own_turns(everything) -> None:
    results, _ = everything
    turns = {method: len(faults.turns) for method, faults in results.faults.items()}
    # Without alignment a segment of two utterances is one turn; it covers half of each.
    assert turns == {TurnMethod.BASELINE: 24, TurnMethod.ALIGNED: 48, TurnMethod.ORACLE: 48}
    labelled = {system: result.outcomes[0].training for system, result in results.systems.items()}
    assert sum(labelled[ALIGNED].values()) == 16
    assert sum(labelled[BASELINE].values()) < 16


def test_an_utterance_without_an_answer_is_a_wrong_one(everything) -> None:
    results, _ = everything
    baseline = results.systems[BASELINE_FROZEN]
    # All turns go to the first of two speakers with equal speech: the other is never answered.
    confusion = np.array(baseline.numbers["confusion"])
    assert confusion[:, -1].sum() == baseline.numbers["unanswered"][0] > 0
    assert sum(baseline.right[0]) == np.trace(confusion[:, :4])


def test_a_second_run_and_another_table_do_nothing_again(everything, run) -> None:
    first, _ = everything
    for name in ("table4", "all"):
        again, progress = run(name)
        assert progress.trained == set()
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


def test_the_papers_tables_are_of_the_papers_form(everything, run, profile: Profile) -> None:
    own = profile.fusion.model_copy(update={"pooling": "statistics", "linear_shortcut": True})
    other = profile.model_copy(update={"fusion": own})
    assert run("table4", profile=other)[1].trained == set()
    # The oracle's turns are the aligned ones here: three folds, once.
    assert len(run("boundaries", profile=other)[1].trained) == 3


def test_with_two_seeds_there_is_a_mean_and_a_deviation(everything, run, profile: Profile) -> None:
    two = profile.experiment.model_copy(update={"seeds": 2})
    results, _ = run("table4", profile=profile.model_copy(update={"experiment": two}))
    result = results.systems[ALIGNED_FROZEN]
    each = [correct / 48 for correct in result.numbers["correct"]]
    assert result.numbers["accuracy"]["rate"] == pytest.approx(np.mean(each))
    assert result.numbers["accuracy"]["sd_seeds"] == pytest.approx(np.std(each, ddof=1))
    one = everything[0].systems[ALIGNED_FROZEN].numbers
    assert one["accuracy"]["sd_seeds"] is None
    assert one["accuracy"]["sd_folds"] is not None
    assert one["correct"] == result.numbers["correct"][:1]
