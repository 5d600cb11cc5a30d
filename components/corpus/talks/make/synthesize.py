"""Make the conversations: `python -m components.corpus.talks.make.synthesize OUT --voices FOLDER`.

Writes a corpus with a manifest, and the truth beside it. It is synthetic. It needs the packages
that the demo corpus' README names; nothing else in Moodline does.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from components.base import atomic_path
from components.conversation import (
    AsrSegment,
    SpeakerSegment,
    write_rttm,
    write_words,
)
from components.corpus.demo.make.mix import mixed, speech
from components.corpus.demo.make.ogg import write_ogg
from components.corpus.demo.make.synthesize import parse_arguments
from components.corpus.demo.make.voices import Kokoro
from components.corpus.talks.make.place import Say, Utterance, perform
from components.corpus.talks.make.plan import SEED, DialoguePlan, build_plan

VOICES = {
    "Talk1_A": "af_kore",
    "Talk1_B": "bm_george",
    "Talk1_C": "bf_lily",
    "Talk2_A": "af_nova",
    "Talk2_B": "am_eric",
    "Talk2_C": "bm_lewis",
    "Talk3_A": "bf_isabella",
    "Talk3_B": "am_adam",
    "Talk3_C": "af_river",
    "Talk4_A": "af_alloy",
    "Talk4_B": "bm_fable",
    "Talk4_C": "am_onyx",
    "Talk5_A": "af_sky",
    "Talk5_B": "bm_daniel",
    "Talk5_C": "bf_alice",
}
"""Each speaker's voice: fifteen speakers, fifteen voices, none of them the demo corpus'."""

ABOUT = {"scripted": False, "set": "talks", "language": "en", "licence": "Apache 2.0"}
"""What every line of the manifest says."""

log = logging.getLogger(__name__)


def named(dialogue: DialoguePlan, letter: str) -> str:
    """A speaker's name in the corpus."""
    return f"Talk{dialogue.session}_{letter}"


def reference(dialogue: DialoguePlan, utterances: Sequence[Utterance]) -> list[dict[str, object]]:
    """The entries of a dialogue's SegLST reference, one an utterance."""
    return [
        {
            "session_id": dialogue.name,
            "utterance_id": f"{dialogue.name}_{number:03d}",
            "start_time": round(utterance.start, 4),
            "end_time": round(utterance.end, 4),
            "speaker": named(dialogue, utterance.speaker),
            "sex": VOICES[named(dialogue, utterance.speaker)][1].upper(),
            "words": utterance.text,
            "emotion": utterance.label,
        }
        for number, utterance in enumerate(utterances)
    ]


def write_dialogue(
    out: Path, dialogue: DialoguePlan, utterances: Sequence[Utterance]
) -> dict[str, object]:
    """Write a dialogue's sound, reference and truth into the corpus folder `out`.

    Returns:
        Its line in the manifest.
    """
    name = dialogue.name
    for folder in ("audio", "reference", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_ogg(out / "audio" / f"{name}.ogg", mixed([(u.first, u.sound) for u in utterances], name))
    entries = ",\n".join(json.dumps(entry) for entry in reference(dialogue, utterances))
    (out / "reference" / f"{name}.json").write_text(f"[\n{entries}\n]\n", "utf-8")
    write_words(out / "truth" / f"{name}.json", _truth(dialogue, utterances))
    segments = [
        SpeakerSegment(s.start, s.end, named(dialogue, s.speaker)) for s in speech(utterances)
    ]
    write_rttm(out / "truth" / f"{name}.rttm", name, segments)
    paths = {"audio": f"audio/{name}.ogg", "reference": f"reference/{name}.json"}
    return {"recording": name, **paths, "fold": f"Session{dialogue.session}", **ABOUT}


def _truth(dialogue: DialoguePlan, utterances: Sequence[Utterance]) -> Iterator[AsrSegment]:
    for utterance in utterances:
        speaker = named(dialogue, utterance.speaker)
        words = tuple(replace(word, speaker=speaker) for word in utterance.words)
        yield AsrSegment(utterance.start, utterance.end, utterance.text, words)


def write_corpus(out: Path, plan: Sequence[DialoguePlan], say: Say) -> None:
    """Write all of a corpus into the folder `out`.

    Args:
        out: the folder, made if it is not there.
        plan: its dialogues.
        say: speaks a sentence, given the speaker's name in the corpus.
    """
    lines = []
    for dialogue in plan:
        utterances = perform(dialogue, _by_letter(say, dialogue))
        lines.append(json.dumps(write_dialogue(out, dialogue, utterances)) + "\n")
        log.info("%s: %.1f s", dialogue.name, max(u.end for u in utterances))
    (out / "manifest.jsonl").write_text("".join(lines), "utf-8")
    (out / "voices.json").write_text(json.dumps(VOICES, indent=1) + "\n", "utf-8")


def _by_letter(say: Say, dialogue: DialoguePlan) -> Say:
    return lambda sentence, letter: say(sentence, named(dialogue, letter))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the corpus, whole or not at all."""
    given = parse_arguments("components.corpus.talks.make.synthesize", SEED, arguments)
    kokoro = Kokoro(given.voices)
    with atomic_path(given.out) as folder:
        write_corpus(
            folder,
            build_plan(given.seed),
            lambda sentence, speaker: kokoro.say(sentence.text, VOICES[speaker], sentence.prosody),
        )


if __name__ == "__main__":
    main()
