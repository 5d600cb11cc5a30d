"""A unit's model and its linear probe, asked about turns that neither has seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from components.config import Settings
from components.conversation import Recording, Turn


def answer_turns(
    folder: Path,
    recordings: Sequence[Recording],
    turns: Mapping[str, Sequence[Turn]],
    settings: Settings,
) -> tuple[list[Turn], list[Turn]]:
    """The turns with a version's answers, and with those of its linear probe.

    Frozen encoders' states come from the cache that training fills: every fold and seed asks about
    turns that others train on, so each turn goes through the encoders once.

    Args:
        folder: the version's.
        recordings: whose turns are answered.
        turns: of each recording.

    Raises:
        InputError: audio or a model that cannot be read.
    """
    from components.evaluate import predict_turns
    from components.evaluate.probe import probe_encoders
    from components.fusion import Classifier, load_tokenizer
    from components.fusion.probe import PROBE, load_probe
    from components.train.answering import answer
    from components.train.data import Row, Sound
    from components.train.probe import turn_features
    from components.train.states import encode_rows, one_thread
    from components.train.windows import StateWindows

    probe = load_probe(folder / PROBE)
    encoders = probe_encoders(folder, probe, settings)
    own = [(turn, r.fold) for r in recordings for turn in turns[r.name]]
    if not own:
        return [], []
    rows = [
        Row(t.session_id, fold, t.start, t.end, t.words, 0, t.asr_confidence) for t, fold in own
    ]
    cache = settings.finished
    encoded = encode_rows(
        encoders,
        load_tokenizer(folder),
        rows,
        sound=Sound(recordings, rows, cache),
        cache=cache,
        report=lambda _: None,
    )
    probed = [
        turn.answered(row, probe.labels)
        for (turn, _), row in zip(own, probe(turn_features(encoded)), strict=True)
    ]
    if probe.pretrained:  # the version's own encoders are others
        return predict_turns(Classifier(folder), recordings, turns), probed
    labels = encoders.config.labels
    with one_thread():
        # The version's own temperature is in its head.
        answers = answer(encoders.head, StateWindows([0] * len(rows), encoded)).probabilities()
    answered = [turn.answered(row, labels) for (turn, _), row in zip(own, answers, strict=True)]
    return answered, probed
