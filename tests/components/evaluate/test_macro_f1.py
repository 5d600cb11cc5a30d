"""Training, report and gate have one macro F1: scikit-learn's, over the reference's emotions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from components.config import GateSettings
from components.conversation import DEFAULT_LABELS, Recording, Turn, Utterance
from components.evaluate import gate, measure
from components.train.loop import classification_scores

CLASS = st.integers(0, len(DEFAULT_LABELS) - 1)


@given(st.lists(st.tuples(CLASS, CLASS), min_size=1, max_size=30))
# An answer that no reference has: a mean over labels or answers would be a quarter less.
@example([(0, 0)] * 40 + [(1, 1)] * 40 + [(2, 2)] * 36 + [(2, 3)] * 4)
@settings(max_examples=40, deadline=None)
def test_training_report_and_gate_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    reference, hypothesis = np.array(pairs).T
    expected = f1_score(
        reference, hypothesis, labels=np.unique(reference), average="macro", zero_division=0
    )

    trained = classification_scores(
        reference, np.eye(len(DEFAULT_LABELS))[hypothesis], DEFAULT_LABELS
    )
    assert trained["macro_f1"] == pytest.approx(expected)

    utterances = tuple(
        Utterance(str(i), "call", i, i + 0.5, "A", None, "yes", DEFAULT_LABELS[label])
        for i, label in enumerate(reference)
    )
    turns = [
        Turn("call", i, i + 0.5, "S0", "yes", DEFAULT_LABELS[answer])
        for i, answer in enumerate(hypothesis)
    ]
    metrics = measure([Recording("call", Path("call.wav"), "", None, utterances)], turns, 0).metrics
    assert metrics["macro_f1"]["rate"] == pytest.approx(expected)

    rest = {"model": "m", "champion": None, "comparison": None, "behaviour": {}, "served": {}}
    verdict = gate(metrics | rest, GateSettings(min_macro_f1=0.5))
    assert verdict.checks[0].value == pytest.approx(expected)
