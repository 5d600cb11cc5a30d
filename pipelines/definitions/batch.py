"""The batch pipeline: a folder of recordings to turns with emotions.

1. champion           which version is in production
2. recordings_digest  what is in the folder today
3. recordings         its recordings, as a manifest
4. model_digests      which weights the profile's names stand for today
5. transcribe         each shard's audio to words (WhisperX); shards side by side
6. diarize            each shard's audio to speaker segments (pyannote.audio)
7. align              words and speaker segments of all shards to turns
8. fetch              the champion's folder
9. predict            each turn its emotion
"""

from typing import Any

from kfp import dsl

from components.config import Profile
from components.corpus.component import recordings as read_recordings
from components.corpus.component import recordings_digest
from components.evaluate.component import predict
from components.register.component import champion, fetch
from pipelines.definitions.placement import configure_lookup, configure_task
from pipelines.definitions.preprocess import listen


def batch_pipeline(profile: Profile) -> Any:
    """Build the pipeline for a profile."""
    cluster = profile.cluster

    @dsl.pipeline(
        name="moodline-batch",
        display_name="Moodline: batch",
        description="A folder of recordings to turns with emotions.",
    )
    def batch(folder: str) -> None:
        best = configure_lookup(champion(required=True), "Look up the champion", cluster)
        # An empty registry ends the run before any recording is transcribed.
        digest = recordings_digest(folder=folder).after(best)
        configure_lookup(digest, "Look at the recordings", cluster)
        read = read_recordings(folder=folder, digest=digest.output)
        configure_task(read, "Read the recordings", cluster)
        turns, _ = listen(read.outputs["manifest"], profile)
        fetched = configure_task(fetch(name=best.output), "Fetch the champion", cluster)
        predicted = predict(
            model=fetched.outputs["model"],
            corpus=read.outputs["manifest"],
            turns=turns.outputs["turns"],
        )
        configure_task(predicted, "Predict", cluster)

    return batch
