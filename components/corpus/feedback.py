"""A corpus with what came back from traffic beside it, as one corpus."""

import shutil
from pathlib import Path

from components.base import Cache, InputError, atomic_path
from components.conversation import FEEDBACK, read_manifest, write_manifest
from components.corpus.check import corpus_digest
from components.corpus.reader import read_corpus

SYNTHETIC = "voices.json"
"""A corpus' mark that nobody speaks in it (see `check_corpus`)."""


def join_feedback(corpus: Path, feedback: Path, cache: Cache) -> Path:
    """A corpus and the feedback as one corpus, its audio linked or copied; the result is cached.

    Args:
        corpus: the labelled corpus' folder.
        feedback: of `moodline feedback export`; all its recordings are of the fold `FEEDBACK`,
            which is only ever trained on.
        cache: where the new corpus lies.

    Returns:
        The new corpus' folder.

    Raises:
        InputError: one of them has a fault, a recording is in both, or one of the feedback's is of
            another fold.
    """
    labelled, corrected = read_corpus(corpus), read_manifest(feedback)
    other = next((r for r in corrected if r.fold != FEEDBACK), None)
    if other is not None:
        raise InputError(
            f"{feedback}: {other.name} is of the fold {other.fold}, not {FEEDBACK}; take what"
            " moodline feedback export wrote"
        )
    both = {r.name for r in labelled} & {r.name for r in corrected}
    if both:
        raise InputError(f"{feedback}: {min(both)} is in {corpus} too")
    out = cache.path("corpora", corpus_digest(labelled), corpus_digest(corrected))
    if not out.is_dir():
        with atomic_path(out) as temporary:
            write_manifest(temporary, [*labelled, *corrected], take_audio=True)
            if (corpus / SYNTHETIC).is_file():
                shutil.copyfile(corpus / SYNTHETIC, temporary / SYNTHETIC)
    return out
