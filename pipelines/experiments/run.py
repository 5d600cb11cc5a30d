"""An experiment from end to end: plan, work, count."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from components.config import Profile, Settings
from components.conversation import FEEDBACK, Recording
from components.corpus import corpus_digest
from pipelines.experiments.protocol import plan
from pipelines.experiments.results import Results, summarise
from pipelines.experiments.systems import TABLES, Way
from pipelines.experiments.turns import CorpusTurns, StageProgress, make_turns
from pipelines.experiments.work import UnitRunner

UNITS = "units of work"
"""Progress under this name is of the whole work; under another name, of the unit at hand."""


def run_experiment(
    name: str,
    recordings: Sequence[Recording],
    profile: Profile,
    settings: Settings,
    work: Path,
    progress: StageProgress,
    *,
    synthetic: bool = False,
) -> Results:
    """Run what a table needs; what was done before, for whichever table, is not done again.

    1. The corpus' turns are made each way that the table's systems need.
    2. Each system is trained and tested on every fold from every seed, on its own turns.
    3. All answers are counted on the same reference utterances.

    Args:
        name: of `TABLES`.
        recordings: the corpus; what came back from traffic (the fold `FEEDBACK`) is trained on,
            and never tested on.
        profile: the models, and `experiment`.
        settings: where models and caches lie.
        work: a folder for transcripts and turns; see `make_turns`.
        progress: called with what is being done, how much of it is done, and of how much.
        synthetic: the corpus is not of real people; every page about it says so.

    Raises:
        InputError: the corpus has too few folds, or one without an emotion; or a model cannot be
            found, a recording not be read.
    """
    systems = TABLES[name]
    units = plan(systems, recordings, profile)
    corpus = corpus_digest(list(recordings))
    turns_by_way: dict[Way, CorpusTurns] = {}
    for way in dict.fromkeys(system.way for system in systems):
        turns_by_way[way] = make_turns(way, recordings, profile, settings, work, progress)
    runner = UnitRunner(recordings, corpus, profile, settings)
    outcomes = []
    for number, unit in enumerate(units):
        progress(UNITS, number, len(units))
        what = f"{unit.system.title} · without {unit.test_fold} · seed {unit.seed}"
        outcomes.append(
            runner.outcome(unit, turns_by_way[unit.system.way], partial(progress, what))
        )
    progress(UNITS, len(units), len(units))
    tested = [recording for recording in recordings if recording.fold != FEEDBACK]
    return summarise(name, outcomes, turns_by_way, tested, profile, corpus, synthetic=synthetic)
