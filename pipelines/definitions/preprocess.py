"""The preprocessing pipeline: a labelled corpus to examples; a part of `retrain`, too.

1. corpus_digest  what is in the corpus' folder today
2. join_feedback  which of people's corrections join it today, for training only
3. corpus         read and check both; write their manifest
4. model_digests  which weights the profile's names stand for today
5. transcribe     each shard's audio to words (WhisperX); shards side by side
6. diarize        each shard's audio to speaker segments (pyannote.audio); where alignment is by
                  evidence, after the words, whose sentences are heard again
7. align          words and speaker segments of all shards to turns
8. label          turns and reference utterances to labelled examples
"""

from typing import Any, NamedTuple

from kfp import dsl

from components.align.component import align
from components.config import DiarizeStep, LabelStep, Profile, TrainStep, TranscribeStep
from components.config.component import model_digests
from components.corpus.component import corpus as read_corpus
from components.corpus.component import corpus_digest, join_feedback
from components.diarize.component import diarize
from components.label.component import label
from components.transcribe.component import transcribe
from pipelines.definitions.placement import configure_lookup, configure_task


class Preprocessed(NamedTuple):
    digest: str
    corpus: dsl.Dataset
    turns: dsl.Dataset
    examples: dsl.Dataset
    encoders: str
    state: str


def look_at_models(profile: Profile) -> Any:
    """Add the step that says which weights the profile's names stand for today."""
    models = model_digests(profile=TrainStep.of(profile).model_dump_json())
    return configure_lookup(models, "Look at the models", profile.cluster)


def listen(manifest: Any, profile: Profile, digests: Any) -> Any:
    """Add the steps from recordings to turns, in shards; the task `align`.

    Args:
        manifest: the output that names the recordings.
        profile: baked into the pipeline, each step given the parts that it needs.
        digests: the outputs of `look_at_models`.
    """
    cluster = profile.cluster
    shards = [f"{index}/{cluster.shards}" for index in range(cluster.shards)]
    for_words = TranscribeStep.of(profile).model_dump_json()
    for_speakers = DiarizeStep.of(profile).model_dump_json()
    with dsl.ParallelFor(shards, name="shards", parallelism=cluster.parallel) as shard:
        words = transcribe(
            corpus=manifest, shard=shard, profile=for_words, models=digests["transcribe"]
        )
        configure_task(words, "Transcribe", cluster)
        sentences = {"transcripts": words.outputs["transcripts"]} if profile.hears_again else {}
        spoken = diarize(
            corpus=manifest, shard=shard, profile=for_speakers, models=digests["diarize"],
            **sentences,
        )  # fmt: skip
        configure_task(spoken, "Diarize", cluster)
    turns = align(
        transcripts=dsl.Collected(words.outputs["transcripts"]),
        speakers=dsl.Collected(spoken.outputs["speakers"]),
        profile=profile.align.model_dump_json(),
    )
    return configure_task(turns, "Align", cluster)


def preprocess_pipeline(profile: Profile) -> Any:
    """Build the pipeline for a profile."""
    cluster = profile.cluster

    @dsl.pipeline(
        name="moodline-preprocess",
        display_name="Moodline: preprocess",
        description="A labelled corpus to turns and labelled examples.",
    )
    def preprocess(corpus: str, feedback: str = "", cache_name: str = "") -> Preprocessed:
        # The name of the folder does not change with what is in it.
        labels = LabelStep.of(profile).model_dump_json()
        looked = corpus_digest(folder=corpus, labels=labels)
        digest = configure_lookup(looked, "Look at the corpus", cluster)
        came_back = join_feedback(folder=corpus, digest=digest.output, feedback=feedback)
        configure_lookup(came_back, "Join the feedback", cluster)
        read = read_corpus(
            folder=corpus, digest=digest.output,
            feedback=feedback, chosen=came_back.outputs["chosen"], cache_name=cache_name,
            labels=labels,
        )  # fmt: skip
        configure_task(read, "Read the corpus", cluster)
        manifest = read.outputs["manifest"]
        models = look_at_models(profile)
        turns = listen(manifest, profile, models.outputs).outputs["turns"]
        labelled = configure_task(
            label(turns=turns, corpus=manifest, labels=labels), "Label", cluster
        )
        examples, encoders = labelled.outputs["examples"], models.outputs["train"]
        whole, state = came_back.outputs["digest"], came_back.outputs["state"]
        return Preprocessed(whole, manifest, turns, examples, encoders, state)

    return preprocess
