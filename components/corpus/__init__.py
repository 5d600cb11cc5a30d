"""Read and check a labelled corpus: IEMOCAP's layout, a manifest, or the demo corpus in `demo/`.

The demo corpus is synthetic; `demo/make` made it.
"""

from components.corpus.check import CorpusReport, check_corpus, corpus_digest
from components.corpus.chosen import (
    LOG,
    choose_feedback,
    joined,
    joined_digest,
    look_at_feedback,
    training_state,
)
from components.corpus.feedback import join_feedback
from components.corpus.labels import unscored_labels, with_labels
from components.corpus.reader import read_corpus
from components.corpus.recordings import read_recordings, recording_files
