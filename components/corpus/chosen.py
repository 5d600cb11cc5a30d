"""What came back from traffic and joins a corpus in a pipeline: chosen first, read later.

One step chooses, and tells a name; a later one reads what has that name. So KFP's cache knows
whether anything is new, and what people say while a run goes on waits for the next run.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components.base import InputError, Location, Url, json_digest, located
from components.config import Settings
from components.conversation import Recording
from components.corpus.check import corpus_digest
from components.corpus.feedback import beside_corpus, read_feedback
from components.corpus.reader import inside_its_sound
from components.traffic import FeedbackStore, select_feedback, selected_before

LOG = "log"
"""In place of an export's location: what the prediction log's database holds."""

_UNTIL = " until "
"""In a choice's name, before the time of its last label. The digest is without it: who says again
what stands already says nothing new."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Feedback that may be trained on.

    Attributes:
        recordings: of the fold `FEEDBACK`; none where there is nothing.
        sources: who gave each label (see `SOURCES`).
        digest: of what is chosen and by which rules; "" where there is nothing.
        name: by it a later step finds what was chosen; "" where there is nothing.
        state: names the same by a look that reads no sound, for `training_state`.
        why_none: in words, where there is nothing.
    """

    recordings: tuple[Recording, ...] = ()
    sources: dict[str, Any] | None = None
    digest: str = ""
    name: str = ""
    state: str = ""
    why_none: str = ""


def choose_feedback(place: str, settings: Settings, name: str = "") -> Chosen:
    """Choose the feedback that joins a corpus.

    Args:
        place: `LOG`, or the folder or URL of an export; "": none.
        name: of what was chosen before; what came since is left out.

    Raises:
        InputError: an export has a fault; or what had that name is not there any more.
        Unavailable: the database, or the object store, does not answer.
    """
    if not place:
        return Chosen()
    digest, _, until = name.partition(_UNTIL)
    share, limit = settings.feedback_share, settings.feedback_contradictions
    if place == LOG:
        entries, log = FeedbackStore.read(settings.feedback_url), settings.log_location
        selected = select_feedback(entries, log, limit=limit)
        wanted = digest.partition(" ")[0]
        if until and selected.digest != wanted:
            moment = datetime.fromisoformat(until)
            selected = selected_before(wanted, moment, entries, log, limit=limit)
        if selected.until is None:
            return Chosen(why_none=selected.why_none())
        recordings, sources, own = selected.recordings, selected.sources, selected.digest
        found, state = f"{_UNTIL}{selected.until.isoformat()}", ""
    else:
        state = look_at_feedback(place, settings).state  # first: what changes then is found out
        exported, sources = read_feedback(located(place))
        recordings = tuple(exported)
        found = ""
        own = json_digest([corpus_digest(exported, settings.finished), sources])
    rules = f"{own} at most {share:g}"
    chosen = Chosen(recordings, sources, rules, f"{rules}{found}", state or rules)
    if digest and chosen.digest != digest:
        raise InputError(f"{place}: was changed while the run went on; start it again")
    return chosen


def look_at_feedback(place: str, settings: Settings) -> Chosen:
    """What `choose_feedback` would choose, without a look into an export: its `state` alone.

    The sound of an export may be of any size, and who asks may have no place for it.

    Raises:
        Unavailable: the database, or the object store, does not answer.
    """
    if place in ("", LOG):
        return choose_feedback(place, settings)
    files = training_state(located(place), "")
    return Chosen(state=f"{files} at most {settings.feedback_share:g}")


def joined(labelled: list[Recording], chosen: Chosen, settings: Settings) -> list[Recording]:
    """A corpus and the chosen feedback; see `join_feedback` for the rules.

    Raises:
        InputError: as `beside_corpus`, or a recording's sound is not there any more.
    """
    share, cache = settings.feedback_share, settings.finished
    beside = beside_corpus(labelled, chosen.recordings, chosen.sources or {}, max_share=share)
    return [*labelled, *(inside_its_sound(recording, cache) for recording in beside)]


def joined_digest(corpus: str, chosen: str) -> str:
    """The digest of a corpus and the feedback that joins it, by theirs."""
    return json_digest([corpus, chosen]) if chosen else corpus


def training_state(corpus: Location, feedback: str) -> str:
    """Names what a run would train on, by a look that reads no sound.

    Where it is the same, nothing is new. It holds names, sizes, and times or ETags of the files in
    the corpus' folder; sound that a manifest names elsewhere is not looked at.

    Args:
        feedback: the state of what joins it (`Chosen.state`).

    Raises:
        Unavailable: the object store does not answer.
    """
    folder = corpus.parent if corpus.suffix == ".jsonl" else corpus
    files: list[Any]
    if isinstance(folder, Url):
        files = [[url.parts_below(folder), state.size, state.tag]
                 for url, state in folder.all_states()]  # fmt: skip
    else:
        files = [[path.relative_to(folder).parts, path.stat().st_size, path.stat().st_mtime_ns]
                 for path in sorted(Path(folder).rglob("*")) if path.is_file()]  # fmt: skip
    return json_digest([files, feedback])
