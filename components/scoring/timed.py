"""TEER, sTEER and DER of one recording, in seconds."""

from collections.abc import Callable, Hashable, Iterable, Sequence

from components.conversation import DEFAULT_LABELS, UNKNOWN, Turn
from components.scoring.conventions import Convention
from components.scoring.errors import TimeErrors
from components.scoring.sweep import Region, Span, Tracks, identification, map_labels

Turns = Sequence[Turn]
Uem = Iterable[Span] | None
Label = Callable[[Turn], Hashable]


def _known_speaker(turn: Turn) -> str | None:
    return None if turn.speaker == UNKNOWN else turn.speaker


def map_speakers(reference: Turns, hypothesis: Turns) -> dict[str, str]:
    """Map a recording's hypothesis speakers onto its reference speakers, one to one.

    Optimal on speech overlap over the whole recording; `unknown` is never mapped. ::

        reference   |----- A -----|   |-- B --|
        hypothesis  |- 1 -|-- 2 --|   |-- 2 --|     {1: A, 2: B} (2 shares most with A and with
                                                    B; together this pairing shares most)

    >>> map_speakers(
    ...     [Turn("call", 0, 6, "A", "one"), Turn("call", 8, 10, "B", "two")],
    ...     [Turn("call", 0, 3, "1", "one"), Turn("call", 3, 10, "2", "two")],
    ... )
    {'1': 'A', '2': 'B'}

    Returns:
        For each mapped hypothesis speaker its reference speaker.
    """
    mapping = map_labels(*_tracks(reference, hypothesis, _known_speaker))
    return {str(speaker): str(reference_speaker) for speaker, reference_speaker in mapping.items()}


def teer(
    reference: Turns,
    hypothesis: Turns,
    convention: Convention,
    uem: Uem = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> TimeErrors:
    """Time-weighted emotion error (Wu et al., 2023, eq. 1) of one recording.

    Emotion labels are compared as they are, one track for each turn: two speakers at once with
    the same emotion count twice. A hypothesis turn without an emotion matches nothing;
    reference turns of none of the labels are taken out of what is scored. ::

        reference   |---- sad ----|- neutral -|
        hypothesis     |-------- sad -------|
                     miss   ok      confusion  miss

    >>> from components.scoring import find_convention
    >>> teer(
    ...     [Turn("r", 0, 4, "A", "", "sad"), Turn("r", 4, 8, "A", "", "neutral")],
    ...     [Turn("r", 1, 7, "1", "", "sad")],
    ...     find_convention("collar0"),
    ... )
    TimeErrors(missed=2.0, false_alarm=0.0, confusion=3.0, total=8.0)
    """
    if convention.own_mapping:
        return _own_mapping(reference, hypothesis, convention, uem, labels, speakers=False)
    region = convention.region(reference, hypothesis, uem, without_other=labels)
    return identification(*_tracks(reference, hypothesis, lambda turn: turn.emotion), region)


def steer(
    reference: Turns,
    hypothesis: Turns,
    convention: Convention,
    uem: Uem = None,
    labels: Sequence[str] = DEFAULT_LABELS,
) -> TimeErrors:
    """Speaker-attributed TEER (Wu et al., 2023, eq. 2) of one recording.

    Speakers are mapped by `map_speakers`, then speaker and emotion must both agree; a speaker
    without a counterpart, and `unknown`, match nothing. Never below `teer`, but in `ser-align`.

    >>> from components.scoring import find_convention
    >>> reference = [Turn("r", 0, 4, "A", "", "sad"), Turn("r", 4, 8, "B", "", "sad")]
    >>> hypothesis = [Turn("r", 0, 5, "1", "", "sad"), Turn("r", 5, 8, "2", "", "sad")]
    >>> collar0 = find_convention("collar0")
    >>> teer(reference, hypothesis, collar0).rate, steer(reference, hypothesis, collar0).rate
    (0.0, 0.125)
    """
    if convention.own_mapping:
        return _own_mapping(reference, hypothesis, convention, uem, labels, speakers=True)
    mapping = map_speakers(reference, hypothesis)

    def attributed(turn: Turn) -> Hashable:
        speaker = mapping.get(turn.speaker)
        return None if speaker is None or turn.emotion is None else (speaker, turn.emotion)

    region = convention.region(reference, hypothesis, uem, without_other=labels)
    return identification(
        Tracks.of(reference, lambda turn: (turn.speaker, turn.emotion)),
        Tracks.of(hypothesis, attributed),
        region,
    )


def der(reference: Turns, hypothesis: Turns, convention: Convention, uem: Uem = None) -> TimeErrors:
    """Diarization error of one recording: speakers only, whatever the emotions.

    Speakers are mapped for the most common speech within what is scored, as pyannote's
    `DiarizationErrorRate` does.

    >>> from components.scoring import find_convention
    >>> der(
    ...     [Turn("r", 0, 4, "A", ""), Turn("r", 4, 8, "B", "")],
    ...     [Turn("r", 0, 5, "1", ""), Turn("r", 5, 10, "2", "")],
    ...     find_convention("collar0"),
    ... )
    TimeErrors(missed=0.0, false_alarm=2.0, confusion=1.0, total=8.0)
    """
    region = convention.region(reference, hypothesis, uem, without_other=None)
    return _mapped(reference, hypothesis, lambda turn: turn.speaker, region)


def _own_mapping(
    reference: Turns, hypothesis: Turns, convention: Convention, uem: Uem,
    labels: Sequence[str], *, speakers: bool,
) -> TimeErrors:  # fmt: skip
    """`DiarizationErrorRate` on emotion labels, as in the paper's teer_calculate.py.

    It maps emotions (or emotion and speaker together) freely, drops other emotions from the
    reference only, and passes over recordings without any of the labels.
    """
    scored = [turn for turn in reference if turn.emotion in labels]
    if not scored:
        return TimeErrors.zero()

    def label(turn: Turn) -> Hashable:
        emotion = turn.emotion or "UNK"
        return f"{emotion}_{turn.speaker}" if speakers else emotion

    region = convention.region(scored, hypothesis, uem, without_other=None)
    return _mapped(scored, hypothesis, label, region)


def _mapped(reference: Turns, hypothesis: Turns, label: Label, region: Region) -> TimeErrors:
    """The errors that are left once labels are mapped for the most common speech."""
    tracks, other_tracks = _tracks(reference, hypothesis, label)
    names = map_labels(tracks, other_tracks, region)
    return identification(tracks, other_tracks.renamed(names), region)


def _tracks(reference: Turns, hypothesis: Turns, label: Label) -> tuple[Tracks, Tracks]:
    return Tracks.of(reference, label), Tracks.of(hypothesis, label)
