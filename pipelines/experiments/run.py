"""An experiment from end to end: plan, work, count."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from components.config import Profile, Settings
from components.conversation import FEEDBACK, Recording
from components.corpus import corpus_digest
from pipelines.experiments.protocol import plan
from pipelines.experiments.results import Results, summarise
from pipelines.experiments.systems import PAPER_TABLES, TABLES
from pipelines.experiments.turns import StageProgress, make_turns
from pipelines.experiments.work import UnitRunner

UNITS = "units of work"
"""Progress under this name is that of the whole work; under another name, of the current unit."""


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

    1. The corpus' turns are made with each method that the table's systems need.
    2. Each system is trained and tested on every fold from every seed, on its own turns.
    3. All answers are counted on the same reference utterances.

    The paper's tables are of the paper's form of the model; "boundaries" is of the profile's own.

    Args:
        name: of `TABLES`.
        recordings: the corpus; what came back from traffic (the fold `FEEDBACK`) is trained on,
            and never tested on.
        work: a folder for transcripts and turns; see `make_turns`.
        synthetic: the corpus is not of real people; every page about it says so.

    Raises:
        InputError: the corpus has too few folds, or one without an emotion; or a model cannot be
            found, a recording not be read.
    """
    if name in PAPER_TABLES:
        profile = profile.model_copy(update={"fusion": profile.fusion.paper_form()})
    systems = TABLES[name]
    units = plan(systems, recordings, profile)
    corpus = corpus_digest(list(recordings))
    turns_by_method = {
        method: make_turns(method, recordings, profile, settings, work, progress)
        for method in dict.fromkeys(system.method for system in systems)
    }
    runner = UnitRunner(recordings, corpus, profile, settings)
    outcomes = []
    for number, unit in enumerate(units):
        progress(UNITS, number, len(units))
        what = f"{unit.system.title} · without {unit.test_fold} · seed {unit.seed}"
        turns = turns_by_method[unit.system.method]
        outcomes.append(runner.outcome(unit, turns, partial(progress, what)))
    progress(UNITS, len(units), len(units))
    tested = [recording for recording in recordings if recording.fold != FEEDBACK]
    return summarise(name, outcomes, turns_by_method, tested, profile, corpus, synthetic=synthetic)
