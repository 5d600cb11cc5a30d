"""The batch pipeline: a folder of recordings to turns with emotions.

1. champion           which version is in production
2. model_digests      which weights the profile's names stand for today
3. fetch              the champion's folder; made with other speech models, it ends the run
4. recordings_digest  what is in the folder today
5. recordings         its recordings, as a manifest
6. transcribe         each shard's audio to words (WhisperX); shards side by side
7. diarize            each shard's audio to speaker segments (pyannote.audio)
8. align              words and speaker segments of all shards to turns
9. predict            each turn its emotion
"""

from typing import Any

from kfp import dsl

from components.config import Profile, TurnsStep
from components.corpus.component import recordings as read_recordings
from components.corpus.component import recordings_digest
from components.evaluate.component import predict
from components.register.component import champion, fetch
from pipelines.definitions.placement import configure_lookup, configure_task
from pipelines.definitions.preprocess import listen, look_at_models


def batch_pipeline(profile: Profile) -> Any:
    """Build the pipeline for a profile."""
    cluster, by_channel = profile.cluster, profile.by_channel

    @dsl.pipeline(
        name="moodline-batch",
        display_name="Moodline: batch",
        description="A folder of recordings to turns with emotions.",
    )
    def batch(folder: str) -> None:
        best = configure_lookup(champion(required=True), "Look up the champion", cluster)
        digests = look_at_models(profile).outputs
        fetched = fetch(
            name=best.output,
            profile=TurnsStep.of(profile).model_dump_json(),
            words=digests["transcribe"],
            speakers=digests["diarize"],
        )
        configure_task(fetched, "Fetch the champion", cluster)
        # An empty registry, or a version of other speech models, ends the run before any recording
        # is heard.
        digest = recordings_digest(folder=folder, by_channel=by_channel).after(fetched)
        configure_lookup(digest, "Look at the recordings", cluster)
        read = read_recordings(folder=folder, digest=digest.output, by_channel=by_channel)
        configure_task(read, "Read the recordings", cluster)
        turns = listen(read.outputs["manifest"], profile, digests)
        predicted = predict(
            model=fetched.outputs["model"],
            corpus=read.outputs["manifest"],
            turns=turns.outputs["turns"],
        )
        configure_task(predicted, "Predict", cluster)

    return batch
