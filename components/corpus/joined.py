"""A corpus with what came back from traffic beside it, as one corpus."""

import shutil
from pathlib import Path

from components.base import Cache, InputError, atomic_path
from components.conversation import FEEDBACK, read_manifest, write_manifest
from components.corpus.check import corpus_digest
from components.corpus.reader import read_corpus

SYNTHETIC = "voices.json"
"""A corpus' mark that nobody speaks in it (see `check_corpus`)."""


def with_feedback(corpus: Path, feedback: Path, cache: Cache) -> Path:
    """Both as one corpus, its audio linked or copied; what was joined before is found again.

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
    own, came_back = read_corpus(corpus), read_manifest(feedback)
    stray = next((r for r in came_back if r.fold != FEEDBACK), None)
    if stray is not None:
        raise InputError(
            f"{feedback}: {stray.name} is of the fold {stray.fold}, not {FEEDBACK}; take what"
            " moodline feedback export wrote"
        )
    both = {r.name for r in own} & {r.name for r in came_back}
    if both:
        raise InputError(f"{feedback}: {min(both)} is in {corpus} too")
    out = cache.path("corpora", corpus_digest(own), corpus_digest(came_back))
    if not out.is_dir():
        with atomic_path(out) as temporary:
            write_manifest(temporary, [*own, *came_back], take_audio=True)
            if (corpus / SYNTHETIC).is_file():
                shutil.copyfile(corpus / SYNTHETIC, temporary / SYNTHETIC)
    return out
