"""The steps that look at a corpus and read it, as a pipeline of their own."""

from typing import Any

from kfp import dsl

from components.config import Profile
from components.corpus.component import corpus as read_corpus
from components.corpus.component import corpus_digest
from pipelines.definitions.placement import configure_lookup, configure_task


def reading(profile: Profile) -> Any:
    """The first two steps of `preprocess`."""

    @dsl.pipeline(name="reading")
    def reading(corpus: str) -> None:
        cluster = profile.cluster
        digest = configure_lookup(corpus_digest(folder=corpus), "Look", cluster)
        configure_task(read_corpus(folder=corpus, digest=digest.output), "Read", cluster)

    return reading
