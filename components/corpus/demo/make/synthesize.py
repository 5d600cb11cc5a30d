"""Make the demo corpus: `python -m components.corpus.demo.make.synthesize OUT --voices FOLDER`.

Writes a corpus in IEMOCAP's layout and label formats with the truth beside it. It is synthetic:
the texts were written for this project, the voices are Kokoro's. `demo/README.md` says which
packages this needs; nothing else in Moodline does.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.base import atomic_path
from components.conversation import (
    SAMPLE_RATE,
    AsrSegment,
    Word,
    write_rttm,
    write_words,
)
from components.corpus.demo.make.mix import LEAD, mixed, speech
from components.corpus.demo.make.plan import SEED, DialoguePlan, TurnPlan, build_plan
from components.corpus.demo.make.voices import Kokoro

VOICES = {
    "Ses01_F": "af_heart",
    "Ses01_M": "am_michael",
    "Ses02_F": "af_bella",
    "Ses02_M": "am_fenrir",
    "Ses03_F": "bf_emma",
    "Ses03_M": "am_echo",
    "Ses04_F": "af_aoede",
    "Ses04_M": "am_puck",
    "Ses05_F": "af_sarah",
    "Ses05_M": "am_liam",
}
"""Each speaker's voice: ten speakers, ten voices."""

ABOUT = {"set": "demo", "language": "en", "licence": "Apache 2.0"}
"""What holds for all of it; see `components.corpus.iemocap`."""

EVALUATION_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
_RATING = {  # valence, activation, dominance of 1 to 5, as IEMOCAP's raters give them
    "ang": (1.5, 4.0, 4.0),
    "hap": (4.5, 3.5, 3.0),
    "exc": (4.5, 4.5, 3.5),
    "neu": (3.0, 2.5, 3.0),
    "sad": (2.0, 1.5, 2.0),
    "fru": (2.0, 3.0, 3.5),
    "sur": (3.5, 4.0, 3.0),
    "oth": (3.0, 2.5, 2.5),
    "xxx": (3.0, 2.5, 2.5),
}
_CATEGORY = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "neu": "Neutral state",
    "sad": "Sadness",
    "fru": "Frustration",
    "sur": "Surprise",
    "oth": "Other",
}
_SOME_CATEGORIES = ("Neutral state", "Frustration", "Surprise")  # raters who do not agree

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A turn in its dialogue: the plan, the samples it covers, its words' times."""

    plan: TurnPlan
    speaker: str
    first: int
    last: int
    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """Seconds."""
        return self.first / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds."""
        return self.last / SAMPLE_RATE


def perform(dialogue: DialoguePlan, kokoro: Kokoro) -> tuple[np.ndarray, list[Placed]]:
    """Speak a dialogue: its sound (float32, mono, 16 kHz) and its turns in order."""
    latest = round(LEAD * SAMPLE_RATE)
    pieces, placed = [], []
    for index, turn in enumerate(dialogue.turns):
        speaker = f"Ses{dialogue.session:02d}_{turn.sex}"
        spoken = kokoro.say(turn.text, VOICES[speaker], turn.prosody)
        first = latest + (round(turn.gap * SAMPLE_RATE) if index else 0)
        shift = first / SAMPLE_RATE
        words = tuple(
            Word(w.text, round(w.start + shift, 4), round(w.end + shift, 4), 1.0, speaker)
            for w in spoken.words
            if w.start is not None and w.end is not None
        )
        last = first + spoken.sound.size
        pieces.append((first, spoken.sound))
        placed.append(Placed(turn, speaker, first, last, words))
        latest = max(latest, last)
    return mixed(pieces, dialogue.name), placed


def transcription(turns: Sequence[Placed]) -> str:
    """The text of a dialogue's `transcriptions` file."""
    return "".join(f"{t.plan.id} [{t.start:08.4f}-{t.end:08.4f}]: {t.plan.text}\n" for t in turns)


def evaluation(turns: Sequence[Placed], name: str) -> str:
    """The text of a dialogue's `EmoEvaluation` file, raters and all.

    The raters are as synthetic as the voices: they are there because IEMOCAP's files have them.
    """
    rng = np.random.default_rng(list(name.encode()))
    blocks = []
    for turn in turns:
        label = turn.plan.label
        ratings = np.clip(np.rint(np.array(_RATING[label]) + rng.normal(0, 0.6, (2, 3))), 1, 5)
        mean = ", ".join(f"{value:.4f}" for value in ratings.mean(axis=0))
        lines = [f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.plan.id}\t{label}\t[{mean}]"]
        for index in range(3):
            category = _CATEGORY.get(label, _SOME_CATEGORIES[index])
            lines.append(f"C-E{index + 1}:\t{category};\t()")
        for index, (valence, activation, dominance) in enumerate(ratings.astype(int), start=1):
            lines.append(f"A-E{index}:\tval {valence}; act {activation}; dom  {dominance};\t()")
        blocks.append("\n".join(lines) + "\n")
    return EVALUATION_HEADER + "\n".join(blocks)


def write_dialogue(
    out: Path, dialogue: DialoguePlan, sound: np.ndarray, turns: list[Placed]
) -> None:
    """Write a dialogue's sound, labels and truth into the corpus folder `out`."""
    from components.corpus.demo.make.ogg import write_ogg

    folder, name = out / f"Session{dialogue.session}" / "dialog", dialogue.name
    for kind in ("wav", "transcriptions", "EmoEvaluation"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_ogg(folder / "wav" / f"{name}.ogg", sound)
    (folder / "transcriptions" / f"{name}.txt").write_text(transcription(turns), "latin-1")
    (folder / "EmoEvaluation" / f"{name}.txt").write_text(evaluation(turns, name), "latin-1")
    segments = (AsrSegment(t.start, t.end, t.plan.text, t.words) for t in turns)
    write_words(out / "truth" / f"{name}.json", segments)
    write_rttm(out / "truth" / f"{name}.rttm", name, speech(turns))


def parse_arguments(
    module: str, seed: int, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """A generator's folder `out`, its `voices` and its `seed` (by default the one given here).

    What it logs is shown from here on.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--voices", type=Path, required=True, help="npm kokoro-js's voices folder")
    parser.add_argument("--seed", type=int, default=seed)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the corpus, whole or not at all."""
    given = parse_arguments("components.corpus.demo.make.synthesize", SEED, arguments)
    kokoro = Kokoro(given.voices)
    with atomic_path(given.out) as folder:
        for dialogue in build_plan(given.seed):
            sound, turns = perform(dialogue, kokoro)
            write_dialogue(folder, dialogue, sound, turns)
            log.info("%s: %.1f s", dialogue.name, sound.size / SAMPLE_RATE)
        for name, content in (("voices", VOICES), ("about", ABOUT)):
            text = json.dumps(content, indent=1) + "\n"
            (folder / f"{name}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
