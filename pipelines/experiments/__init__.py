"""The paper's experiments: every system on every fold, counted alike, beside the paper's numbers.

systems     the method that makes turns × how the encoders are trained
protocol    which folds train, choose and test
turns       a corpus' turns, made with one of the three methods
work        one unit of work: train, predict; finished work is reused
results     all answers, counted on the same utterances (`statistics`: spreads and tests)
explain     why two systems differ, from the data
tables      the paper's four, measured beside printed (`paper`: its numbers and their flaws)
report      all of it on one HTML page
"""

from pipelines.experiments.results import Results
from pipelines.experiments.run import run_experiment
from pipelines.experiments.systems import TABLES, Strategy, System, TurnMethod
from pipelines.experiments.tables import Table, tables
