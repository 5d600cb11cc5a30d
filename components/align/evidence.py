"""Whose each word is, by all the evidence: one best path of speakers over the stream of words.

Rule 2 asks of each word alone who overlaps it most. A listener uses more: a sentence seldom changes
hands, few people speak for one word, a pause or a new sentence is where another begins, and word
times are off by a tenth of a second. So every word has evidence for each speaker, every place
between two words has a cost of a change there, and the path with the most evidence less costs
is taken (`components.align.paths`).

All weights are log-probabilities (nats). They were fitted as a conditional random field on meetings
of the AMI corpus with four diarizations, then rounded. docs/benchmarks.md says what leaving a
meeting out chose.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from components.align.costs import backchannels, change_costs
from components.align.paths import best_path, state_probabilities
from components.align.speech import Speech, speech_by_speaker
from components.conversation import UNKNOWN, FrameScores, Seconds, SpeakerSegment

TOLERANCE: Seconds = 0.15
"""Speech is counted from so long before a word to so long behind it: a recogniser's usual error, so
that a word which its time moved across an edge stays with its sentence."""

WEIGHT = 1 / 3
"""Of one word's share in the log-probability: the evidence of neighbouring words is not
independent, for one segment of the diarizer's makes it all."""

FLOOR = 0.03
"""The share that a speaker has of every word, for segments may be missing."""

NEAR = 0.05
FADES: Seconds = 0.5
"""A speaker who is silent in a word has at least the share NEAR · exp(−distance / FADES) of it."""

REACH: Seconds = 1.5
"""A word so far from all speech may be nobody's: it goes to `unknown`, unless its sentence tells
whose it is. This does not depend on where turns are cut."""

IMPOSSIBLE = -20.0
"""The log-probability of being nobody's, for a word that is nearer."""

LONGEST: Seconds = 1.0
"""A word tells by its first second; one that lasts longer is stretched over silence or another's
words more often than not."""

NESTED = 0.02
NESTED_BACKCHANNEL = 0.3
"""Where two speak in a word, the one who speaks for a shorter time is meant more often if the word
is a backchannel, and a little if the stretch is `SHORTER` times as short: a segment that was put
into another's speech tells more. Each times the log of how much shorter."""

SHORTER = 6

MOST_SPEAKERS = 16
"""Speakers that are told apart at a moment; if there are more, those who speak most around it."""

MOMENT = 200
"""Words, where there are more speakers than that."""


def attribute_by_evidence(
    texts: Sequence[str],
    starts: np.ndarray,
    ends: np.ndarray,
    begins: np.ndarray,
    segments: Sequence[SpeakerSegment],
    scores: FrameScores | None = None,
) -> tuple[list[str], np.ndarray]:
    """The speaker of each word on the best path, and how probable each of these answers is.

    >>> starts = np.array([1.6, 2.1, 2.6, 3.06, 3.6])
    >>> segments = [SpeakerSegment(0.0, 2.95, "A"), SpeakerSegment(3.05, 6.0, "B")]
    >>> texts, begins = "very kind, thank you. Yes.".split(), np.zeros(5, dtype=bool)
    >>> attribute_by_evidence(texts, starts, starts + 0.4, begins, segments)[0]
    ['A', 'A', 'A', 'A', 'B']

    Args:
        texts: the words, in the order of speech.
        starts: seconds, [words].
        ends: seconds, [words].
        begins: whether each word is the first of its recognised segment, bool [words].
        segments: who speaks when; they may overlap, and tell more where they do.
        scores: how much the diarizer hears of each speaker in each frame: their shares of a word
            are counted by these, where they are known.

    Returns:
        A speaker label a word, and its probability given all words: float [words].

    Raises:
        InputError: there are more than `MAX_VOICES` speakers.
    """
    speech = speech_by_speaker(segments)
    costs = change_costs(texts, starts, ends, begins)
    listening = backchannels(texts)
    ends = np.minimum(ends, starts + LONGEST)
    speakers: list[str] = []
    confidence = np.empty(len(texts))
    for part in _moments(len(texts), len(speech), costs):
        heard = _loudest(speech, starts[part], ends[part])
        evidence = _evidence(heard, starts[part], ends[part], listening[part], scores)
        path = best_path(evidence, costs[part])
        certain = state_probabilities(evidence, costs[part])
        confidence[part] = certain[np.arange(len(path)), path]
        names = np.array([*heard, UNKNOWN], dtype=object)
        speakers += names[path].tolist()
    return speakers, np.minimum(confidence, 1.0)


def _moments(words: int, speakers: int, costs: np.ndarray) -> Iterator[slice]:
    """The whole stream; if there are too many speakers for that, parts of it.

    Parts begin where a change costs least, which is nothing as a rule: so they do not depend on
    each other.
    """
    first = 0
    while speakers > MOST_SPEAKERS and words - first > MOMENT:
        half = MOMENT // 2
        last = first + half + int(costs[first + half : first + MOMENT].argmin())
        yield slice(first, last)
        first = last
    yield slice(first, words)


def _loudest(
    speech: Mapping[str, Speech], starts: np.ndarray, ends: np.ndarray
) -> Mapping[str, Speech]:
    """Those who speak most between the first word and the last, in label order."""
    if len(speech) <= MOST_SPEAKERS:
        return speech
    low, high = starts.min(keepdims=True), ends.max(keepdims=True)
    spoken = {label: -own.inside(low, high)[0] for label, own in speech.items()}
    most = sorted(sorted(spoken, key=spoken.__getitem__)[:MOST_SPEAKERS])
    return {label: speech[label] for label in most}


def _evidence(
    by_speaker: Mapping[str, Speech],
    starts: np.ndarray,
    ends: np.ndarray,
    listening: np.ndarray,
    scores: FrameScores | None,
) -> np.ndarray:
    """Log-probabilities, up to a constant for each word: [words, speakers + 1].

    The last state is that nobody known speaks.
    """
    words, speech = len(starts), list(by_speaker.values())
    early, late = starts - TOLERANCE, ends + TOLERANCE
    inside = {label: own.inside(early, late) for label, own in by_speaker.items()}
    if scores:
        inside |= {k: v for k, v in scores.inside(early, late).items() if k in inside}
    shares, stretches = np.zeros((words, len(speech) + 1)), np.zeros((words, len(speech)))
    alone = np.full(words, np.inf)  # the distance to any speech
    middles = (starts + ends) / 2
    for number, (label, own) in enumerate(by_speaker.items()):
        shares[:, number] = inside[label] / (late - early)
        stretches[:, number] = own.stretch(middles)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    for number, own in enumerate(speech):
        distance = own.distance(starts, ends)
        alone = np.minimum(alone, distance)
        near = NEAR * np.exp(-distance / FADES)
        shares[:, number] = np.maximum(shares[:, number], near)
    shares[:, -1] = 1.0
    evidence = WEIGHT * np.log(shares + FLOOR)
    evidence[alone <= REACH, -1] = IMPOSSIBLE
    evidence[:, :-1] += _nested(stretches, listening)
    return evidence


def _nested(stretches: np.ndarray, listening: np.ndarray) -> np.ndarray:
    """What speaks for the shorter stretch where several people speak: [words, speakers].

    Args:
        stretches: seconds that the speech around each word lasts, 0 for those who are silent.
        listening: whether each word is a backchannel, bool [words].
    """
    speaks = stretches > 0
    longest = stretches.max(1, initial=0.0, keepdims=True)
    shorter = np.log((longest + 0.1) / (stretches + 0.1))
    much = shorter > np.log(SHORTER)
    weights = np.where(listening[:, None], NESTED_BACKCHANNEL, NESTED * much)
    return np.where(speaks, weights * shorter, 0.0)
