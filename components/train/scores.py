"""The few scores that choose an epoch; `components.scoring` counts those that are reported."""

import numpy as np


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Cross-entropy (`loss`, in nats), accuracy, unweighted recall and macro F1.

    Classes that are neither in the labels nor among the answers count in neither average.

    Args:
        labels: [n] true classes.
        probabilities: [n, k].
    """
    answers = probabilities.argmax(axis=1)
    classes = range(probabilities.shape[1])
    hits = np.array([np.sum((answers == c) & (labels == c)) for c in classes])
    true = np.bincount(labels, minlength=len(hits))
    said = np.bincount(answers, minlength=len(hits))
    present = true > 0
    seen = true + said > 0
    given = probabilities[np.arange(len(labels)), labels]
    return {
        "loss": float(-np.log(np.maximum(given, np.finfo(float).tiny)).mean()),
        "accuracy": float(hits.sum() / len(labels)),
        "unweighted_recall": float((hits[present] / true[present]).mean()),
        "macro_f1": float((2 * hits[seen] / (true + said)[seen]).mean()),
    }
