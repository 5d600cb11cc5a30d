"""How good turns are: TEER, sTEER, DER, cpWER; classification; intervals and paired tests; faults.

Pure functions over turns. Counts are kept and added up over recordings; a rate is only ever
their quotient, and stands beside them. The rules are in `conventions` and `timed`.
"""

from components.scoring.answers import Answer, answers
from components.scoring.calibration import Calibration, calibration
from components.scoring.classification import ANSWERS, Classification, classification
from components.scoring.conventions import CONVENTIONS, DEFAULT, Convention, find_convention
from components.scoring.errors import Share, TimeErrors, WordErrors
from components.scoring.faults import Faults, TurnFaults, UtteranceFaults, find_faults
from components.scoring.intervals import (
    Comparison,
    Interval,
    bootstrap,
    mcnemar,
    paired_bootstrap,
)
from components.scoring.score import Scores, by_recording, score, score_each, score_words
from components.scoring.timed import der, map_speakers, steer, teer
from components.scoring.verdict import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Bound,
    Check,
    Result,
    Verdict,
    read_verdict,
)
from components.scoring.words import (
    cpwer,
    normalise,
    pair_words,
    tcpwer,
    wer,
    word_speaker_accuracy,
)

__all__ = [
    "ANSWERS",
    "CONVENTIONS",
    "DEFAULT",
    "FAIL",
    "INCONCLUSIVE",
    "PASS",
    "Answer",
    "Bound",
    "Calibration",
    "Check",
    "Classification",
    "Comparison",
    "Convention",
    "Faults",
    "Interval",
    "Result",
    "Scores",
    "Share",
    "TimeErrors",
    "TurnFaults",
    "UtteranceFaults",
    "Verdict",
    "WordErrors",
    "answers",
    "bootstrap",
    "by_recording",
    "calibration",
    "classification",
    "cpwer",
    "der",
    "find_convention",
    "find_faults",
    "map_speakers",
    "mcnemar",
    "normalise",
    "pair_words",
    "paired_bootstrap",
    "read_verdict",
    "score",
    "score_each",
    "score_words",
    "steer",
    "tcpwer",
    "teer",
    "wer",
    "word_speaker_accuracy",
]
