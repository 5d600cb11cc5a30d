"""Whose each word is, over a whole stream: the best path, and how probable each answer is.

A path names a state for each of n steps. Its score is the sum of each step's evidence for its
state, less what a change costs wherever the state is another one than at the step before. The best
path (Viterbi, 1967) and the probabilities of the states (forward-backward: Rabiner, “A tutorial on
hidden Markov models”, 1989) are exact.

A loop over words is slow in Python, so the steps are divided into blocks that are worked on side by
side::

    steps    |0 1 2|3 4 5|6 7 8|      three passes over arrays of three blocks

What a block makes of each state that it may begin from is found for all blocks at once; then the
blocks are joined in order; then each is passed again from where it really begins. That takes a few
times the square root of n array operations, and the cost grows with n times the square of the
states.
"""

from dataclasses import dataclass

import numpy as np


def best_path(evidence: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The states of the path with the highest score.

    Where staying and changing are worth the same, the path stays.

    >>> evidence = np.array([[0.0, -9.0], [-1.0, 0.0], [0.0, -9.0]])
    >>> best_path(evidence, np.array([3.0, 3.0, 3.0])).tolist()
    [0, 0, 0]
    >>> best_path(evidence, np.array([0.0, 0.1, 0.1])).tolist()
    [0, 1, 0]

    Args:
        evidence: float [steps, states]: log-probabilities, up to a constant for each step; there
            may be no steps.
        change: float [steps], 0 or more: what a change costs between the step before and this one.

    Returns:
        int [steps].
    """
    if not len(evidence):
        return np.zeros(0, dtype=int)
    blocks = _Blocks.of(evidence, change)
    before = np.zeros((blocks.states, blocks.count))
    for block, effect in enumerate(np.moveaxis(_best_effects(blocks), 2, 0)[:-1]):
        before[:, block + 1] = (effect + before[:, block]).max(1)
    scores = np.empty_like(blocks.evidence)
    score = before
    for step in range(blocks.length):
        score = np.maximum(score, score.max(0) - blocks.change[step]) + blocks.evidence[step]
        scores[step] = score
    return _traced(blocks, before, scores)


def state_probabilities(evidence: np.ndarray, change: np.ndarray) -> np.ndarray:
    """How probable each state is at each step, given all the evidence.

    >>> evidence = np.log(np.array([[0.8, 0.2], [0.5, 0.5], [0.8, 0.2]]))
    >>> state_probabilities(evidence, np.array([0.0, 2.0, 2.0])).round(2).tolist()
    [[0.9, 0.1], [0.89, 0.11], [0.9, 0.1]]

    Args:
        evidence: as for `best_path`.
        change: as for `best_path`. Beside staying, which weighs 1, each state that may come next
            weighs exp(−cost).

    Returns:
        float [steps, states]; each row sums to 1.
    """
    if not len(evidence):
        return evidence
    blocks = _Blocks.of(np.exp(evidence - evidence.max(1, keepdims=True)), np.exp(-change), 1.0)
    weights, changes = blocks.evidence, blocks.change
    effects = np.moveaxis(_probable_effects(blocks), 2, 0)
    before, after = (np.ones((blocks.states, blocks.count)) for _ in range(2))
    for block, effect in enumerate(effects[:-1]):
        reached = effect @ before[:, block]
        before[:, block + 1] = reached / reached.sum()
    for block in range(blocks.count - 1, 0, -1):
        needed = effects[block].T @ after[:, block]
        after[:, block - 1] = needed / needed.sum()
    forward = np.empty_like(weights)
    for step in range(blocks.length):
        before = (before + changes[step] * before.sum(0)) * weights[step]
        before /= before.sum(0)
        forward[step] = before
    for step in range(blocks.length - 1, -1, -1):
        forward[step] *= after
        after = after * weights[step]
        after += changes[step] * after.sum(0)
        after /= after.sum(0)
    result = blocks.unrolled(forward)
    return result / result.sum(1, keepdims=True)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The steps, cut into blocks of one length: those of a block follow each other.

    Attributes:
        evidence: [length, states, blocks].
        change: [length, blocks]. Steps that fill up the last block change nothing.
        steps: how many there really are.
    """

    evidence: np.ndarray
    change: np.ndarray
    steps: int

    @classmethod
    def of(cls, evidence: np.ndarray, change: np.ndarray, neutral: float = 0.0) -> "_Blocks":
        """Cut; `neutral` is evidence for nothing: 0 of logarithms (the default), else 1."""
        steps, states = evidence.shape
        length = max(1, int(np.ceil(np.sqrt(steps))))
        count = -(-steps // length)
        never = 0.0 if neutral else np.inf  # the weight, or the cost, of a change
        padded = np.full((count * length, states), neutral)
        padded[:steps] = evidence
        changes = np.full(count * length, never)
        changes[1:steps] = change[1:]  # to the first step there is none
        return cls(
            np.ascontiguousarray(padded.reshape(count, length, states).transpose(1, 2, 0)),
            np.ascontiguousarray(changes.reshape(count, length).T),
            steps,
        )

    @property
    def length(self) -> int:
        """Steps in a block."""
        return self.evidence.shape[0]

    @property
    def states(self) -> int:
        """States at each step."""
        return self.evidence.shape[1]

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return self.evidence.shape[2]

    def unrolled(self, values: np.ndarray) -> np.ndarray:
        """[length, …, blocks] as [steps, …]."""
        rolled = np.moveaxis(values, -1, 0)
        return rolled.reshape(-1, *rolled.shape[2:])[: self.steps]


def _best_effects(blocks: _Blocks) -> np.ndarray:
    """The best score from each state before a block to each at its end: [end, before, blocks]."""
    stay = np.where(np.eye(blocks.states, dtype=bool)[:, :, None], 0.0, -np.inf)
    score = np.repeat(stay, blocks.count, axis=2)
    for step in range(blocks.length):
        np.maximum(score, score.max(0) - blocks.change[step], out=score)
        score += blocks.evidence[step][:, None]
    return score


def _probable_effects(blocks: _Blocks) -> np.ndarray:
    """The weight of all paths, likewise, up to a factor for each block."""
    weight = np.repeat(np.eye(blocks.states)[:, :, None], blocks.count, axis=2)
    for step in range(blocks.length):
        total = weight.sum(0)
        weight += blocks.change[step] * total
        weight *= (blocks.evidence[step] / total.max(0))[:, None]
    return weight


def _traced(blocks: _Blocks, before: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The best path's states, from its end to its beginning.

    Args:
        before: the best scores before each block, [states, blocks].
        scores: the best scores at each step, [length, states, blocks].
    """
    from_scores = np.concatenate([before[None], scores[:-1]])
    stays = from_scores >= (from_scores.max(1) - blocks.change)[:, None]
    best = from_scores.argmax(1)

    def earlier(step: int, state: np.ndarray) -> np.ndarray:
        kept = np.take_along_axis(stays[step], state, axis=0)
        return np.where(kept, state, best[step])

    origin = np.repeat(np.arange(blocks.states)[:, None], blocks.count, axis=1)
    for step in range(blocks.length - 1, -1, -1):
        origin = earlier(step, origin)
    ends = np.empty((1, blocks.count), dtype=int)
    ends[0, -1] = scores[-1, :, -1].argmax()
    for block in range(blocks.count - 1, 0, -1):
        ends[0, block - 1] = origin[ends[0, block], block]
    path = np.empty((blocks.length, blocks.count), dtype=int)
    for step in range(blocks.length - 1, -1, -1):
        path[step] = ends[0]
        ends = earlier(step, ends)
    return blocks.unrolled(path)
