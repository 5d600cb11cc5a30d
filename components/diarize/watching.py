"""What a pyannote pipeline's own stages take, and what they print."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pyannote.audio.pipelines import SpeakerDiarization

from components.base import counted

STAGES = {
    "get_embeddings": "embed",
    "reconstruct": "cluster",
}
"""The pipeline's methods, and what the work in them is called."""


def watch(pipeline: SpeakerDiarization) -> None:
    """Have the work of a pipeline's methods counted; see `components.base.stages`."""
    # On this pipeline alone.
    stages = dict(STAGES)
    if type(pipeline).get_segmentations is SpeakerDiarization.get_segmentations:
        stages["get_segmentations"] = "segment"  # ours counts by itself
    for method, stage in stages.items():
        setattr(pipeline, method, counted(stage, getattr(pipeline, method)))
    if hasattr(pipeline.clustering, "cluster"):
        pipeline.clustering.cluster = counted("cluster", pipeline.clustering.cluster)


_PRINTING = threading.Lock()
_printing: list[TextIO] = []


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """What is printed in the block goes to standard error, also where threads' blocks overlap."""
    with _PRINTING:
        if not _printing:
            _printing.append(sys.stdout)
            sys.stdout = sys.stderr
        else:
            _printing.append(_printing[0])
    try:
        yield
    finally:
        with _PRINTING:
            before = _printing.pop()
            if not _printing:
                sys.stdout = before
