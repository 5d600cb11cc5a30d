"""A model's emotions for turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from components.conversation import EMOTIONS, Recording, Turn, read_audio


def predict_turns(
    model_dir: Path,
    recordings: Sequence[Recording],
    turns: Mapping[str, Sequence[Turn]],
    progress: Callable[[int, int], None] | None = None,
) -> list[Turn]:
    """Give each turn its emotion, confidence and probabilities.

    Audio is read by seeking, one recording's turns at a time, so memory holds one recording.

    Args:
        model_dir: a model version's folder.
        recordings: what to predict for.
        turns: each recording's turns.
        progress: called with the number of turns done and their total.

    Raises:
        InputError: no model there, or audio that cannot be read.
    """
    from components.fusion import load_model, predict

    model = load_model(Path(model_dir))
    total = sum(len(turns[recording.name]) for recording in recordings)
    found: list[Turn] = []
    for recording in recordings:
        own = turns[recording.name]
        clips = [(read_audio(recording.audio, t.start, t.end), t.words) for t in own]
        probabilities, _ = predict(model, clips)
        for turn, row in zip(own, probabilities, strict=True):
            best = int(row.argmax())
            found.append(
                replace(
                    turn,
                    emotion=EMOTIONS[best],
                    confidence=float(row[best]),
                    probabilities=dict(zip(EMOTIONS, map(float, row), strict=True)),
                )
            )
        if progress:
            progress(len(found), total)
    return found
