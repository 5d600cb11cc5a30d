"""The steps that look at a corpus and read it, as a pipeline of their own."""

from typing import Any

from kfp import dsl

from components.config import Profile
from components.corpus.component import corpus as read_corpus
from components.corpus.component import corpus_digest, join_feedback
from pipelines.definitions.placement import configure_lookup, configure_task


def reading(profile: Profile) -> Any:
    """The first steps of `preprocess`."""

    @dsl.pipeline(name="reading")
    def reading(corpus: str) -> None:
        cluster = profile.cluster
        digest = configure_lookup(corpus_digest(folder=corpus), "Look", cluster)
        configure_task(read_corpus(folder=corpus, digest=digest.output), "Read", cluster)

    return reading


def joining(profile: Profile) -> Any:
    """The first steps of `preprocess`, with what came back from traffic."""

    @dsl.pipeline(name="joining")
    def joining(corpus: str, digest: str) -> None:
        cluster = profile.cluster
        came_back = join_feedback(folder=corpus, digest=digest, feedback="log")
        configure_lookup(came_back, "Join", cluster)
        chosen = came_back.outputs["chosen"]
        read = read_corpus(folder=corpus, digest=digest, feedback="log", chosen=chosen)
        configure_task(read, "Read", cluster)

    return joining
