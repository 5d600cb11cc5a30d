"""Published sets of clips with one utterance each, and how each becomes a manifest."""

from components.corpus.sets.catalogue import SETS
from components.corpus.sets.importing import Imported, import_set
