"""Words and speaker segments become turns, by the four rules; beside them the baseline.

    1. flatten    all words of all segments in one stream; missing times are filled in
    2. attribute  each word goes to the one who speaks longest inside it
    3. group      a turn lasts until the speaker changes or a pause exceeds `max_pause`
    4. construct  text, times and speaker of each turn

(Wang, Lee and Chen, section III-A.) The method "evidence" goes past the second rule: one best path
of speakers over the whole stream, by sentences, pauses and neighbouring words besides. The baseline
is the paper's “without alignment”: each segment of the recogniser, whole, to the speaker who
overlaps it most.
"""

from components.align.align import align, align_baseline, align_channels
from components.align.attribute import attribute
from components.align.corpus import align_corpus
from components.align.flatten import flatten
from components.align.pauses import Auto
from components.align.spoken import Method, sentences, words_with_speakers
