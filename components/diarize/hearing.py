"""A second hearing: each sentence's voice by itself, once the words are known.

A diarizer hears chunks of seconds and cuts where it hears a change. Where people answer each other
at once, or two sound alike, it misses one; and in a short recording a few chunks are all that it
knows voices by. Words tell where one sentence ends and the next begins, and a sentence mostly is
one person's. So each is embedded whole by the diarizer's own model and goes to the voice that it
is nearest to (segment-level speaker reassignment: Boeddeker et al. 2024, arXiv 2406.03155).

    words      |Ebenezer, your role is?|I'm the Marketing Expert.|You're the Marketing Expert,|
    diarizer   |A --------------------------------------------------------------------------- |
    now        |A ---------------------|B -----------------------|A --------------------------|

In a short recording, all of which is heard again, the voices themselves are found anew, if the
sentences' are better apart then.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform

from components.align import sentences as sentences_of
from components.conversation import AsrSegment, Seconds, SpeakerSegment
from components.diarize.diarizer import Diarization, Diarizer
from components.diarize.moves import Heard, Segments, joined, owner_of, with_moves

SHORTEST: Seconds = 0.5
"""A voice is not heard in a shorter sentence."""

ALL: Seconds = 60.0
"""So much speech is heard again, whatever its words' speakers are."""

SHARE = 0.25
"""In longer recordings it is this share, that of whose speakers are least sure. A quarter costs
less than a tenth of what the diarization did."""

MARGIN = 0.1
"""How much nearer (cosine) another of the diarizer's voices must be."""

FOUNDS: Seconds = 0.75
"""A voice is not found by a shorter sentence."""

APART = 0.6
"""Two voices are farther from each other (1 − cosine, the mean over their sentences)."""

CLEAR = 0.25
"""The silhouette that several voices must reach."""

CLEAR_OF_ONE = 0.5
"""The silhouette that they must reach where the diarizer hears one, and nobody said that there are
more: an actor who shouts and whispers reaches 0.4."""

CLEARER = 0.1
"""By so much the silhouette must be larger than that of the diarizer's speakers; and than that of
their expected number of voices, to be another number's."""

ROUNDS = 3
"""Times that voices are averaged over the sentences that are nearest to them."""

Sentence = tuple[Seconds, Seconds, float]
"""Start, end, and how sure its words' speakers are."""


def hear_words_again(
    diarizer: Diarizer,
    audio: np.ndarray,
    diarization: Diarization,
    words: Sequence[AsrSegment],
    *,
    most: int | None = None,
    step: Callable[[float], None] | None = None,
) -> Diarization:
    """`heard_again`, the sentences being those of recognised segments, as alignment finds them."""
    stretches = sentences_of(words, diarization.exclusive, diarization.scores)
    return heard_again(diarizer, audio, diarization, stretches, most=most, step=step)


def heard_again(
    diarizer: Diarizer,
    audio: np.ndarray,
    diarization: Diarization,
    sentences: Sequence[Sentence],
    *,
    most: int | None = None,
    step: Callable[[float], None] | None = None,
) -> Diarization:
    """Give sentences to the voices that they have.

    Args:
        diarizer: that made `diarization`.
        audio: float32 [samples], mono at 16 kHz.
        sentences: stretches in which one person speaks, as a rule.
        most: how many people speak at most, where that is known.
        step: called with the share that is done; what it raises ends the work.

    Returns:
        The same where the pipeline tells no voices, or nobody is moved. There may be other speakers
        than before.
    """
    chosen = _chosen(sentences)
    if not chosen or not diarization.voices:
        return diarization
    heard = hear_each(diarizer, audio, diarization.exclusive, chosen, step=step)
    if not heard:
        return diarization
    everything = sum(end - start for start, end, _ in sentences) <= ALL
    voices = found(heard, most, most or len(diarization.voices)) if everything else None
    if voices is None:
        return _moved(diarization, heard, MARGIN)
    return _moved(_renamed(diarization, heard, voices), heard, 0.0)


def hear_each(
    diarizer: Diarizer,
    audio: np.ndarray,
    exclusive: Segments,
    sentences: Sequence[Sentence],
    *,
    step: Callable[[float], None] | None = None,
) -> list[Heard]:
    """The sentences whose voices can be heard; the arguments are as of `heard_again`."""
    heard: list[Heard] = []
    for done, (start, end, _) in enumerate(sentences):
        if step:
            step(done / len(sentences))
        voice = diarizer.voice(audio, start, end)
        if voice is not None:
            heard.append(Heard(start, end, voice, owner_of(exclusive, start, end)))
    return heard


def _chosen(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Those that are worth hearing again, in order of their start."""
    long = [s for s in sentences if s[1] - s[0] >= SHORTEST]
    left = max(ALL, SHARE * sum(end - start for start, end, _ in sentences))
    chosen: list[Sentence] = []
    for sentence in sorted(long, key=lambda s: s[2]):
        left -= sentence[1] - sentence[0]
        if left < 0:
            break
        chosen.append(sentence)
    return sorted(chosen)


def found(heard: Sequence[Heard], most: int | None, expected: int) -> np.ndarray | None:
    """The voices among sentences, by average linkage; their number is where they are best apart.

    That is the largest silhouette (Rousseeuw, 1987), weighted by seconds.

    Args:
        heard: sentences with the diarizer's speakers.
        most: how many there are at most, where that is known.
        expected: of two numbers that are about as good, the one that is nearer to this is taken.

    Returns:
        [voices, size] of length 1; None: the diarizer's speakers are as far apart.
    """
    long = [one for one in heard if one.seconds >= FOUNDS]
    if len(long) < 2:
        return None
    voices, seconds = _arrays(long)
    distances = np.clip(1 - voices @ voices.T, 0, 2)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    apart = 1 + int((tree[:, 2] >= APART).sum())
    before = np.unique([one.owner for one in long], return_inverse=True)[1]
    several = CLEAR_OF_ONE if expected == 1 else CLEAR
    least = max(several, clearness(distances, before, seconds) + CLEARER)
    best = np.zeros(len(long), dtype=int) if apart == 1 else None
    cuts = {
        number: np.unique(fcluster(tree, number, "maxclust"), return_inverse=True)[1]
        for number in range(2, min(apart, most or apart) + 1)
    }
    clear = {number: clearness(distances, cut, seconds) for number, cut in cuts.items()}
    good = [n for n in cuts if clear[n] >= max(least, max(clear.values()) - CLEARER)]
    if good:
        best = cuts[min(good, key=lambda number: (abs(number - expected), -clear[number]))]
    if best is None:
        return None
    means = np.zeros((best.max() + 1, voices.shape[1]))
    np.add.at(means, best, voices * seconds[:, None])
    voices, seconds = _arrays(heard)
    for _ in range(ROUNDS):
        means = _unit(means) * 1e-6  # a voice that no sentence is nearest to stays
        np.add.at(means, (voices @ means.T).argmax(1), voices * seconds[:, None])
    return _unit(means)


def clearness(distances: np.ndarray, labels: np.ndarray, seconds: np.ndarray) -> float:
    """The mean silhouette, weighted by seconds: from -1 to 1; 0 where there is one cluster, or each
    item is one.

    Args:
        distances: [items, items].
        labels: int [items].
        seconds: [items].
    """
    from sklearn.metrics import silhouette_samples

    if not 1 < len(np.unique(labels)) < len(labels):
        return 0.0
    widths = silhouette_samples(distances, labels, metric="precomputed")
    return float(np.average(widths, weights=seconds))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _arrays(heard: Sequence[Heard]) -> tuple[np.ndarray, np.ndarray]:
    """Voices [sentences, size] and seconds [sentences]."""
    return np.stack([one.voice for one in heard]), np.array([one.seconds for one in heard])


def _renamed(diarization: Diarization, heard: Sequence[Heard], voices: np.ndarray) -> Diarization:
    """The diarization with the speakers that were found anew, each named as the one with whose
    speech theirs has most in common."""
    before = list(diarization.voices)
    means = np.stack([diarization.voices[name] for name in before])
    common = np.zeros((len(voices), len(before)))
    for one in heard:
        if one.owner in before:
            common[(voices @ one.voice).argmax(), before.index(one.owner)] += one.seconds
    pairs = zip(*(side.tolist() for side in linear_sum_assignment(-common)), strict=True)
    given = {voice: before[speaker] for voice, speaker in pairs}
    free = (f"SPEAKER_{number:02d}" for number in count())
    unused = (name for name in free if name not in before)
    names = [given.get(number) or next(unused) for number in range(len(voices))]
    nearest = (means @ voices.T).argmax(1).tolist()
    now = {name: names[voice] for name, voice in zip(before, nearest, strict=True)}

    def renamed(segments: Segments) -> tuple[SpeakerSegment, ...]:
        return joined([replace(s, speaker=now.get(s.speaker, s.speaker)) for s in segments])

    return replace(
        diarization,
        segments=renamed(diarization.segments),
        exclusive=renamed(diarization.exclusive),
        voices=dict(zip(names, voices, strict=True)),
        scores=diarization.scores and diarization.scores.renamed(now),
    )


def _moved(diarization: Diarization, heard: Sequence[Heard], margin: float) -> Diarization:
    """Give each sentence to the voice that it is nearest to, by more than a margin; `heard` is in
    order of start."""
    names = list(diarization.voices)
    means = np.stack([diarization.voices[name] for name in names])
    given: list[tuple[Heard, str]] = []
    for one in heard:
        alike = dict(zip(names, (means @ one.voice).tolist(), strict=True))
        nearest = max(names, key=alike.__getitem__)
        owner = owner_of(diarization.exclusive, one.start, one.end)
        if alike[nearest] > alike.get(owner, -1.0) + margin:
            given.append((one, nearest))
    return with_moves(diarization, given)
