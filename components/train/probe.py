"""Fitting the linear probe that stands beside a version (`components.fusion.probe`)."""

from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryFile

import numpy as np

from components.fusion.probe import Probe
from components.train.shards import EncodedWindow

C = 0.01
"""The inverse of the penalty's strength, the same for all: features are thousands, standardised."""

BLOCK = 32 << 20
"""Bytes of features in memory at once."""


def fit_probe(
    encoded: Sequence[Sequence[EncodedWindow]],
    labels: Sequence[int],
    names: Sequence[str],
    *,
    pretrained: bool,
) -> Probe:
    """Fit logistic regression to the training turns' features, which lie in a file meanwhile.

    Args:
        encoded: the windows of each training turn.
        labels: of the turns, as indices of `names`; each name occurs.
        pretrained: as of `Probe`.
    """
    count = len(labels)
    with TemporaryFile() as file:
        size, sums, squares = 0, np.zeros(1), np.zeros(1)
        for block in _blocks(encoded):
            size = block.shape[1]
            sums = sums + block.sum(axis=0, dtype=np.float64)
            file.write(block.data)
        mean = sums / count

        def features() -> Iterator[np.ndarray]:
            file.seek(0)
            rows = max(BLOCK // (4 * size), 1)
            while len(read := np.fromfile(file, np.float32, rows * size)):
                yield read.reshape(-1, size)

        for block in features():
            squares = squares + ((block - mean) ** 2).sum(axis=0)
        mean = mean.astype(np.float32)
        scale = np.maximum(np.sqrt(squares / count), 1e-6).astype(np.float32)
        weight, bias = _fit(
            lambda: ((block - mean) / scale for block in features()),
            np.array(labels),
            (len(names), size),
        )
    return Probe(mean, scale, weight, bias, tuple(names), pretrained)


def _fit(
    features: Callable[[], Iterator[np.ndarray]], labels: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression, as scikit-learn's, over features that are read in blocks.

    Args:
        features: standardised, [n, f] in blocks.
        shape: k and f.

    Returns:
        Weights [k, f] and biases [k], float32.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    classes, size = shape
    # Of two classes the second alone has weights, as scikit-learn's: the penalty is that of one.
    own = 1 if classes == 2 else classes
    count = len(labels)
    penalty = 1 / (C * count)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(own, size + 1)
        weight, bias = table[:, :-1].astype(np.float32), table[:, -1]
        total, first = 0.0, 0
        gradient = np.zeros_like(table)
        for block in features():
            last = first + len(block)
            logits = block @ weight.T + bias
            if own < classes:
                logits = np.pad(logits, ((0, 0), (1, 0)))
            log = log_softmax(logits, axis=1)
            of_labels = np.arange(len(block)), labels[first:last]
            total -= float(log[of_labels].sum())
            error = np.exp(log)
            error[of_labels] -= 1
            error = error[:, classes - own :]
            gradient[:, :-1] += error.T.astype(np.float32) @ block
            gradient[:, -1] += error.sum(axis=0)
            first = last
        gradient /= count
        gradient[:, :-1] += penalty * table[:, :-1]
        return total / count + penalty / 2 * float((table[:, :-1] ** 2).sum()), gradient.ravel()

    start = np.zeros(own * (size + 1))
    options = {"maxiter": 1000, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps}
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    table = best.reshape(own, size + 1).astype(np.float32)
    table = np.pad(table, ((classes - own, 0), (0, 0)))
    return np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, -1])


def _blocks(encoded: Sequence[Sequence[EncodedWindow]]) -> Iterator[np.ndarray]:
    """The features of all turns, some of them at once."""
    rows: list[np.ndarray] = []
    for number, windows in enumerate(encoded, start=1):
        rows.append(_feature(windows))
        if len(rows) * rows[0].nbytes >= BLOCK or number == len(encoded):
            yield np.stack(rows)
            rows.clear()


def _feature(windows: Sequence[EncodedWindow]) -> np.ndarray:
    return np.stack([w.weight * w.probe for w in windows]).sum(axis=0, dtype=np.float32)


def turn_features(encoded: Sequence[Sequence[EncodedWindow]]) -> np.ndarray:
    """The probe's features of turns, windows averaged: [turns, f]."""
    return np.stack([_feature(windows) for windows in encoded])
