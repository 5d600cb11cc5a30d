"""The steps of a retraining that run no model, on a corpus of any size, as one pipeline.

What models would have heard is made up, and written as the steps with models write it.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from kfp import dsl

from components.align.component import align
from components.config import SLIM_IMAGE, LabelStep, Profile
from components.conversation import DEFAULT_LABELS
from components.corpus.component import corpus as read_corpus
from components.corpus.component import corpus_digest, recordings, recordings_digest
from components.label.component import label
from components.register.component import register
from pipelines.definitions.placement import configure_lookup, configure_task


def write_corpus(folder: Path, count: int, speakers: int) -> None:
    """A corpus as people write it: so many recordings of a silent second each.

    Each has a file of sound and a reference of its own; the sound is one, under many names.
    """
    for name in ("audio", "reference"):
        (folder / name).mkdir(parents=True)
    silence = folder / "silence.flac"
    soundfile.write(silence, np.zeros(16_000, "f4"), 16_000)
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for number in range(count):
            name = f"call-{number:05}"
            os.link(silence, folder / "audio" / f"{name}.flac")
            utterance = {
                "session_id": name, "start_time": 0, "end_time": 0.9, "words": "so it is",
                "speaker": f"speaker-{number % speakers:05}",
                "emotion": DEFAULT_LABELS[number % len(DEFAULT_LABELS)],
            }  # fmt: skip
            text = json.dumps([utterance])
            (folder / "reference" / f"{name}.json").write_text(text, encoding="utf-8")
            row = {
                "recording": name, "audio": f"audio/{name}.flac",
                "reference": f"reference/{name}.json", "fold": f"Session{1 + number // 4 % 5}",
            }  # fmt: skip
            manifest.write(json.dumps(row) + "\n")


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def hear(
    corpus: dsl.Input[dsl.Dataset],
    shard: str,
    transcripts: dsl.Output[dsl.Dataset],
    speakers: dsl.Output[dsl.Dataset],
) -> None:
    """What models would hear in a shard: every word, and every speaker."""
    from pathlib import Path

    from components.config import Settings
    from components.conversation import (
        EXCLUSIVE,
        SPEAKERS,
        TRANSCRIPTS,
        AsrSegment,
        SpeakerSegment,
        read_manifest,
        rttm_text,
        shard_of,
        spaced_words,
        words_text,
        work_through,
        write_documents,
    )

    index, shards = map(int, shard.split("/"))
    own = shard_of(read_manifest(Path(corpus.path)), index, shards)

    def heard(recording):  # type: ignore[no-untyped-def]
        said = [
            AsrSegment(u.start, u.end, u.text, spaced_words(u.text, "en"))
            for u in recording.utterances
        ]
        spoken = [SpeakerSegment(u.start, u.end, u.speaker) for u in recording.utterances]
        rttm = rttm_text(recording.name, spoken)
        return {TRANSCRIPTS: words_text(said), SPEAKERS: rttm, EXCLUSIVE: rttm}

    steps = [(transcripts, [TRANSCRIPTS]), (speakers, [SPEAKERS, EXCLUSIVE])]
    for output, kinds in steps:

        def make(recording, step, kinds=kinds):  # type: ignore[no-untyped-def]
            return {kind: heard(recording)[kind] for kind in kinds}

        made = work_through(
            own, kinds, lambda r: [r.name], make, suffix=".txt", cache=Settings().finished
        )
        count = write_documents(Path(output.path), made)
        output.metadata.update(shard=shard, recordings=count)


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def refuse(
    corpus: dsl.Input[dsl.Dataset],
    turns: dsl.Input[dsl.Dataset],
    profile: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    verdict: dsl.Output[dsl.Artifact],
) -> int:
    """As `evaluate` reads its inputs, and writes a verdict that says no; turns of the test part."""
    import json
    from pathlib import Path

    from components.config import load_profile
    from components.conversation import read_manifest
    from components.evaluate import read_test_turns
    from components.scoring import FAIL, Check, Verdict

    recordings = read_manifest(Path(corpus.path))
    tested = read_test_turns(Path(turns.path), recordings, load_profile(profile))
    check = Check("min_accuracy", 0.25, "at least", 0.5, FAIL, "accuracy 0.25 is below 0.5")
    said = Verdict(FAIL, (check,))
    Path(model.path).mkdir(parents=True)
    Path(model.path, "config.json").write_text("{}")
    Path(metrics.path).write_text(json.dumps({"accuracy": {"rate": 0.25}, "model": "0"}))
    Path(report.path).write_text("<!doctype html>")
    Path(verdict.path).write_text(json.dumps(said.to_json()))
    return sum(map(len, tested.values()))


def light(profile: Profile) -> Any:
    """The pipeline, for a corpus and for a folder of recordings that nobody labelled."""
    cluster = profile.cluster
    shards = [f"{index}/{cluster.shards}" for index in range(cluster.shards)]
    whole = profile.model_dump_json(exclude={"cluster"})

    @dsl.pipeline(name="light")
    def light(corpus: str, folder: str) -> None:
        seen = configure_lookup(recordings_digest(folder=folder), "Look at recordings", cluster)
        named = recordings(folder=folder, digest=seen.output)
        configure_task(named, "Read recordings", cluster)
        digest = configure_lookup(corpus_digest(folder=corpus), "Look", cluster)
        read = read_corpus(folder=corpus, digest=digest.output)
        manifest = configure_task(read, "Read", cluster).outputs["manifest"]
        with dsl.ParallelFor(shards, name="shards") as shard:
            heard = configure_task(hear(corpus=manifest, shard=shard), "Hear", cluster)
        aligned = align(
            transcripts=dsl.Collected(heard.outputs["transcripts"]),
            speakers=dsl.Collected(heard.outputs["speakers"]),
            profile=profile.align.model_dump_json(),
        )
        turns = configure_task(aligned, "Align", cluster).outputs["turns"]
        labels = LabelStep.of(profile).model_dump_json()
        configure_task(label(turns=turns, corpus=manifest, labels=labels), "Label", cluster)
        refused = refuse(corpus=manifest, turns=turns, profile=whole)
        configure_task(refused, "Refuse", cluster)
        done = register(
            model=refused.outputs["model"],
            metrics=refused.outputs["metrics"],
            report=refused.outputs["report"],
            verdict=refused.outputs["verdict"],
            corpus_digest=digest.output,
            profile=whole,
            git_commit="unknown",
        )
        configure_lookup(done, "Register", cluster)

    return light
