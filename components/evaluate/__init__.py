"""A model and the corpus' test fold → numbers, a report, and the gate's verdict.

The model in production is evaluated again beside it, on the same utterances.
"""

from components.evaluate.evaluate import (
    Evaluation,
    HeldOutPart,
    check_gate,
    evaluate,
    headline,
    held_out_recordings,
    read_test_turns,
    write_json,
    write_text,
)
from components.evaluate.gate import gate
from components.evaluate.measure import Measurement, compare, measure
from components.evaluate.power import gate_power
from components.evaluate.prediction import predict_corpus, predict_turns
from components.evaluate.report import report_page
