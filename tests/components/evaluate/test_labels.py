"""Any number of labels: numbers, gate, report; a champion of others is compared on the shared."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.config import Profile
from components.conversation import Recording, Turn, Utterance
from components.evaluate import evaluate
from components.evaluate.champion import on_labels
from components.evaluate.measure import measure
from components.register.card import version_card

Turns = dict[str, list[Turn]]
Model = Callable[..., Path]

OTHERS = ("sad", "bored", "angry")


def named(profile: Profile, labels: tuple[str, ...], **gate: object) -> Profile:
    """The profile with other labels, and what its gate asks besides."""
    content = profile.model_dump(mode="json")
    content["gate"] |= gate
    return Profile.model_validate(content | {"labels": labels})


@pytest.mark.parametrize("count", range(2, 9))
def test_numbers_of_any_number_of_labels_are_those_by_hand(count: int) -> None:
    labels = tuple(f"label {number}" for number in range(count))
    random = np.random.default_rng(count)
    truth, answers = random.integers(0, count, (2, 200))
    utterances = tuple(
        Utterance(str(i), "call", i, i + 0.5, "A", None, "yes", labels[label])
        for i, label in enumerate(truth)
    )
    rows = 0.9 * np.eye(count)[answers] + 0.1 / count
    turns = [
        Turn("call", i, i + 0.5, "S0", "yes").answered(row, labels) for i, row in enumerate(rows)
    ]
    recording = Recording("call", Path("call.wav"), "one", None, utterances)
    measured = measure([recording], turns, 0, labels=labels)
    confusion = np.zeros((count, count + 1), dtype=int)
    np.add.at(confusion, (truth, answers), 1)
    assert measured.metrics["confusion"] == {
        "reference": list(labels), "answers": [*labels, "none"], "counts": confusion.tolist(),
    }  # fmt: skip
    assert list(measured.metrics["emotions"]) == list(labels)
    assert measured.metrics["accuracy"]["rate"] == pytest.approx((truth == answers).mean())
    recalls = [(answers[truth == k] == k).mean() for k in range(count)]
    assert measured.metrics["uar"]["rate"] == pytest.approx(np.mean(recalls))
    teer = measured.metrics["scores"]["collar0"]["teer"]
    assert teer["rate"] == pytest.approx((truth != answers).mean())


def test_a_label_that_the_profile_lacks_is_not_scored(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    labels = ("sad", "other")
    metrics = evaluate(model("sad", labels), recordings, turns, named(profile, labels)).metrics
    # Fold “two” has 4 sad, 2 angry, 1 happy and one other.
    assert (metrics["utterances"], metrics["unscored_utterances"]) == (5, 3)
    assert {name: e["reference"] for name, e in metrics["emotions"].items()} == {
        "sad": 4, "other": 1,
    }  # fmt: skip


def test_a_champion_of_other_labels_is_compared_on_those_that_both_have(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    champion = model("bored", OTHERS)
    evaluation = evaluate(model("sad"), recordings, turns, profile, champion=champion)
    metrics, comparison = evaluation.metrics, evaluation.metrics["comparison"]
    assert comparison["labels"] == ["angry", "sad"]
    # Of “happy” the champion knows nothing: on 4 sad and 2 angry ones it has to choose, and
    # “bored” put aside leaves both alike, of which the first in the challenger's order is taken.
    assert metrics["accuracy"]["total"] == 7
    assert comparison["challenger"]["accuracy"]["correct"] == 4
    assert comparison["challenger"]["accuracy"]["total"] == 6
    assert metrics["champion"]["accuracy"]["correct"] == 2
    assert metrics["champion"]["labels"] == list(OTHERS)
    assert comparison["accuracy"]["difference"] == pytest.approx(4 / 6 - 2 / 6)
    (check,) = [c for c in evaluation.verdict.checks if c.name == "no_regression.accuracy"]
    assert "accuracy on the labels that both have (angry, sad) is 0.6667" in check.says
    assert "production's 0.3333" in check.says
    page = " ".join(evaluation.report().split())
    assert "It tells other emotions apart: sad, bored, angry." in page
    assert "compared on those that they share (angry, sad)" in page
    card = version_card("", metrics, evaluation.verdict)
    assert "an emotion that both tell apart (angry, sad)." in card
    json.dumps(metrics, allow_nan=False)


def test_the_same_labels_in_another_order_are_the_same(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    turned = ("sad", "neutral", "happy", "angry")
    metrics = evaluate(
        model("sad"), recordings, turns, profile, champion=model("angry", turned)
    ).metrics
    straight = evaluate(model("sad"), recordings, turns, profile, champion=model("angry")).metrics
    assert "labels" not in metrics["comparison"]
    assert metrics["comparison"] == straight["comparison"]


@pytest.mark.parametrize(
    ("labels", "common"),
    [(("calm", "tense"), "none"), (("sad", "calm"), "only sad"),
     (("neutral", "furious", "happy"), "neutral")],
)  # fmt: skip
def test_too_few_in_common_are_for_a_person_to_judge(
    labels: tuple[str, ...], common: str, recordings: list[Recording], turns: Turns,
    profile: Profile, model: Model,
) -> None:  # fmt: skip
    evaluation = evaluate(
        model("sad"), recordings, turns, profile, champion=model(labels[0], labels)
    )
    decides = [c for c in evaluation.verdict.checks if c.name == "no_regression.accuracy"]
    assert [check.decides for check in decides] == [True]
    if common == "neutral":  # two are shared, and one utterance has one of them
        assert evaluation.metrics["comparison"]["labels"] == ["happy", "neutral"]
        assert evaluation.metrics["champion"]["accuracy"]["total"] == 1
        return
    assert evaluation.verdict.decision == "inconclusive"
    (reason,) = evaluation.verdict.reasons
    assert "cannot be compared: this model tells apart angry, happy, neutral, sad" in reason
    assert reason.endswith(f"production's {', '.join(labels)}; they have {common} in common")
    assert "\n" not in reason
    assert "They share too few" in evaluation.report()
    assert "an emotion that both tell apart" in version_card(
        "", evaluation.metrics, evaluation.verdict
    )


def test_a_model_of_other_labels_than_the_profiles_is_refused(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    with pytest.raises(InputError, match=r"tells apart sad, bored, angry, and the profile names"):
        evaluate(model("sad", OTHERS), recordings, turns, profile)


def test_the_gate_asks_for_the_f1_of_each_label(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    folder = model("sad", OTHERS)
    asking = named(profile, OTHERS, min_f1=0.5)
    verdict = evaluate(folder, recordings, turns, asking).verdict
    names = [check.name for check in verdict.checks if check.name.startswith("min_f1")]
    assert names == ["min_f1.sad", "min_f1.bored", "min_f1.angry"]
    one = evaluate(folder, recordings, turns, named(profile, OTHERS, min_f1={"bored": 0.5})).verdict
    (check,) = [check for check in one.checks if check.name.startswith("min_f1")]
    assert (check.name, check.result) == ("min_f1.bored", "inconclusive")


def test_answers_among_fewer_labels_add_up_to_one() -> None:
    turn = Turn("call", 0.0, 1.0, "A", "oh")
    sure = turn.answered([0.0, 0.0, 1.0], OTHERS)
    (lost,) = on_labels([sure], ["sad", "bored"])
    assert lost.probabilities == {"sad": 0.5, "bored": 0.5}
    without = replace(turn, emotion="angry", confidence=0.9)
    assert on_labels([without], ["sad"])[0].emotion is None
    assert on_labels([without], ["angry"])[0] == without


def test_every_label_has_a_colour_of_its_own(
    recordings: list[Recording], turns: Turns, profile: Profile, model: Model
) -> None:
    labels = ("sad", "no agreement", "angry", "other", "happy", "bored")
    page = evaluate(model("sad", labels), recordings, turns, named(profile, labels)).report()
    for place, label in enumerate(labels):
        assert f'<i class="emotion-{place}"></i>{label}</span>' in page
    colours = {page.split(f".emotion-{n} {{ background: ")[1][:7] for n in range(len(labels))}
    assert len(colours) == len(labels)
