"""The sets that `moodline corpus import` knows."""

from components.conversation import UNKNOWN_LICENCE
from components.corpus.sets.clips import ClipSet
from components.corpus.sets.emobox import read_emobox
from components.corpus.sets.listed import read_esd, read_meld, read_msp_podcast, read_nemo
from components.corpus.sets.named import (
    read_crema_d,
    read_emo_db,
    read_ravdess,
    read_savee,
    read_tess,
)

RESEARCH = "research only"
"""Of sets that are given for research, by an agreement or in the words of a page."""

SETS = {
    "ravdess": ClipSet(
        "RAVDESS", "CC BY-NC-SA 4.0", "Actor_01/03-01-06-01-02-01-01.wav", read_ravdess
    ),
    "crema-d": ClipSet("CREMA-D", "ODbL 1.0", "AudioWAV/1001_DFA_ANG_XX.wav", read_crema_d),
    "emo-db": ClipSet("EMO-DB", "CC0 1.0", "wav/03a01Fa.wav", read_emo_db),
    "tess": ClipSet("TESS", "CC BY-NC-ND 4.0", "OAF_angry/OAF_back_angry.wav", read_tess),
    "savee": ClipSet("SAVEE", RESEARCH, "AudioData/DC/a01.wav", read_savee),
    "esd": ClipSet("ESD", RESEARCH, "0001/Angry/0001_000351.wav", read_esd),
    "meld": ClipSet(
        "MELD", UNKNOWN_LICENCE, "train_sent_emo.csv with train_splits/dia0_utt0.mp4", read_meld
    ),
    "nemo": ClipSet("nEMO", "CC BY-NC-SA 4.0", "data.tsv with samples/EB0_anger_1.wav", read_nemo),
    "msp-podcast": ClipSet(
        "MSP-Podcast", RESEARCH, "Labels/labels_consensus.csv with Audios", read_msp_podcast
    ),
}
"""By the name in a command. MELD's labels are under GPL 3.0; its sound is a broadcaster's."""

_EMOBOX_NAMES = {
    "ravdess": "ravdess", "cremad": "crema-d", "emodb": "emo-db", "tess": "tess",
    "savee": "savee", "esd": "esd", "meld": "meld", "msppodcast": "msp-podcast",
}  # fmt: skip

SETS["emobox"] = ClipSet(
    "EmoBox",
    UNKNOWN_LICENCE,
    "data/ravdess/fold_1/ravdess_test_fold_1.jsonl with downloads/ravdess",
    read_emobox,
    {own: SETS[name].licence for own, name in _EMOBOX_NAMES.items()} | {"iemocap": RESEARCH},
)
