"""Read and check a labelled corpus: IEMOCAP's layout, a manifest, or the demo corpus in `demo/`.

The demo corpus is synthetic; `synthesize.py` made it, from the plan in `plan.py`, the texts in
`texts.toml` and the voices in `voices.py`.
"""

from components.corpus.check import CorpusReport, check_corpus, corpus_digest
from components.corpus.folder import read_folder
from components.corpus.joined import with_feedback
from components.corpus.reader import read_corpus

__all__ = [
    "CorpusReport",
    "check_corpus",
    "corpus_digest",
    "read_corpus",
    "read_folder",
    "with_feedback",
]
