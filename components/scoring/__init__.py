"""How good turns are: TEER, sTEER, EDER, DER, cpWER; classification, intervals, tests, faults.

Pure functions over turns. Counts are kept and added up over recordings; a rate is only ever
their quotient, and stands beside them. The rules are in `conventions` and `timed`.
"""

from components.scoring.calibration import Calibration, calibration
from components.scoring.classification import Classification, classification
from components.scoring.conventions import CONVENTIONS, DEFAULT, Convention, find_convention
from components.scoring.emotion_words import emotion_cpwer
from components.scoring.emotions import NEUTRAL, eder
from components.scoring.errors import EmotionErrors, Matches, Share, TimeErrors, WordErrors
from components.scoring.faults import Faults, UtteranceFaults, find_faults
from components.scoring.intervals import (
    Comparison,
    Interval,
    bootstrap,
    mcnemar,
    paired_bootstrap,
    wilson,
)
from components.scoring.power import Power, power
from components.scoring.predictions import UtterancePrediction, utterance_predictions
from components.scoring.score import Scores, score, score_each, score_words, turns_by_recording
from components.scoring.temperature import Temperature, fit_temperature, tempered
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
from components.scoring.word_speakers import WordSpeakers, speaker_changes, word_speakers
from components.scoring.words import cer, cpwer, normalise, tcpwer, wer, word_speaker_accuracy
