"""Each change finds the model that minds it, and no other; the budgets count what is served."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from components.conversation import DEFAULT_LABELS, SAMPLE_RATE, Recording, Turn
from components.evaluate import budgets
from components.evaluate.behaviour import CHANGES, changes_of, measure_behaviour
from components.evaluate.budgets import measure_latency, served_megabytes
from components.evaluate.prediction import spread
from components.fusion import Clip

Turns = dict[str, list[Turn]]


@dataclass
class By:
    """A model that answers with its last label where the rule holds, else with its first."""

    rule: Callable[[np.ndarray, str], bool]
    labels: tuple[str, ...] = DEFAULT_LABELS
    heard: list[int] = field(default_factory=list)

    def __call__(self, clips: Sequence[Clip]) -> np.ndarray:
        self.heard.append(len(clips))
        rows = np.eye(len(self.labels))
        return np.array([rows[-1 if self.rule(*clip) else 0] for clip in clips])


MINDS = {
    # Turns last 1.9 s.
    "silence": By(lambda audio, _: len(audio) > 2.1 * SAMPLE_RATE),
    "volume": By(lambda audio, _: float(np.abs(audio).max()) > 0.5),
    "case": By(lambda _, words: words.isupper()),
    "punctuation": By(lambda _, words: "?" in words),
    "filler": By(lambda _, words: words.endswith("know")),
}


def test_a_model_of_two_labels_is_held_to_its_own(
    recordings: list[Recording], turns: Turns
) -> None:
    classify = By(lambda _, words: words.endswith("know"), labels=("calm", "tense"))
    predicted = [replace(turn, emotion="calm") for r in recordings[1:] for turn in turns[r.name]]
    measured = measure_behaviour(classify, recordings[1:], predicted, ["silence", "filler"], 100)
    assert (measured["silence"]["rate"], measured["filler"]["rate"]) == (1.0, 0.0)


@pytest.mark.parametrize("name", [*CHANGES, "filler"])
def test_each_change_finds_the_model_that_minds_it(
    name: str, recordings: list[Recording], turns: Turns
) -> None:
    tested = recordings[1:]
    said = [replace(t, words="How are you?") for r in tested for t in turns[r.name]]
    base = {n: DEFAULT_LABELS[int(c([(np.full(1000, 0.3), "How are you?")])[0].argmax())]
            for n, c in MINDS.items()}  # fmt: skip
    for mind, classify in MINDS.items():
        predicted = [replace(turn, emotion=base[mind]) for turn in said]
        measured = measure_behaviour(classify, tested, predicted, [name], max_turns=100)
        assert measured[name]["total"] == 7
        assert measured[name]["kept"] == (0 if mind == name else 7), mind
        assert measured[name]["rate"] == measured[name]["kept"] / 7


@pytest.mark.parametrize(
    ("language", "filler"), [("en", "you know"), ("de", "weißt du"), ("auto", "hm"), ("cy", "hm")]
)
def test_a_filler_is_of_the_language(language: str, filler: str) -> None:
    (change,) = changes_of("filler", language)
    assert change(np.zeros(1), "gut")[1] == f"gut {filler}"
    assert change(np.zeros(1), "")[1] == filler


def test_louder_or_softer_both_count(recordings: list[Recording], turns: Turns) -> None:
    tested = recordings[1:]
    predicted = [replace(t, emotion="sad") for r in tested for t in turns[r.name]]
    soft = By(lambda audio, _: float(np.abs(audio).max()) > 0.2)  # 0.3 as it is, 0.15 halved
    assert measure_behaviour(soft, tested, predicted, ["volume"], 100)["volume"]["kept"] == 0


def test_few_turns_stand_for_many(recordings: list[Recording], turns: Turns) -> None:
    tested = recordings[1:]
    predicted = [replace(t, emotion="angry") for r in tested for t in turns[r.name]]
    classify = By(lambda audio, words: False)
    measured = measure_behaviour(classify, tested, predicted, ["filler", "silence"], max_turns=3)
    assert measured["filler"] == {"kept": 3, "total": 3, "rate": 1.0}
    assert sum(classify.heard) == 6
    assert spread(list(range(7)), 3) == [0, 2, 4]
    assert spread([1, 2], 3) == [1, 2]
    assert measure_behaviour(classify, tested, [], ["filler"], 3)["filler"]["rate"] is None


def test_the_size_is_that_of_what_is_served(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(bytes(1_500_000))
    assert served_megabytes(tmp_path) is None
    (tmp_path / "tokenizer.json").write_bytes(bytes(250_000))
    (tmp_path / "model.safetensors").write_bytes(bytes(9_000_000))
    assert served_megabytes(tmp_path) == 1.75


def test_latency_is_the_best_of_three_beside_production(
    recordings: list[Recording], turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = recordings[1:]
    own = [t for r in tested for t in turns[r.name]]
    clock = 0.0
    calls: list[str] = []
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: clock)

    def takes(name: str, seconds: float) -> Callable[[Sequence[Clip]], np.ndarray]:
        def classify(clips: Sequence[Clip]) -> np.ndarray:
            nonlocal clock
            assert len(clips) == 1
            calls.append(name)
            # A machine that others use: every third run is held up.
            clock += seconds + (5.0 if len(calls) % 3 == 0 else 0.0)
            return np.eye(4)[:1]

        return classify

    challenger, champion = takes("challenger", 0.030), takes("champion", 0.020)
    measured = measure_latency(challenger, champion, tested, own, max_turns=4)
    assert measured["turns"] == 4
    assert measured["p95_ms"] == pytest.approx(30)
    assert measured["times_production"] == pytest.approx(1.5)
    assert calls[2:] == ["challenger", "champion"] * 12
    alone = measure_latency(challenger, None, tested, own, max_turns=4)
    assert (alone["p95_ms"], alone["times_production"]) == (pytest.approx(30), None)
    assert measure_latency(challenger, None, tested, [], 4) == {
        "turns": 0, "p95_ms": None, "times_production": None
    }  # fmt: skip


def test_every_change_can_be_asked_for() -> None:
    from components.config.gate import Behaviour, Slices
    from components.evaluate.gate import CHANGED
    from components.evaluate.slices import NOISE, SLICES

    assert {*CHANGES, "filler"} == set(CHANGED) == set(Behaviour.model_fields) - {"max_turns"}
    assert {*SLICES, NOISE} == set(Slices.model_fields) - {"columns"}
