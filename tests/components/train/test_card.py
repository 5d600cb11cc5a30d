"""The model card says what the sound is and may be used for, as the corpora's own pages say it."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from components.config import load_profile
from components.conversation import Recording, strictness
from components.corpus import read_corpus
from components.corpus.sets import SETS
from components.scoring import Temperature
from components.train.card import model_card
from components.train.data import Row, Sound, split_rows

ROOT = Path(__file__).resolve().parents[3]
BANS = (
    "## Not to be used",
    "To infer emotions of people at work or in schools: prohibited in the European Union",
    "To decide about a person: hiring, credit, insurance, policing, benefits, care",
    "On recordings whose speakers do not know of it",
)


def card_of(recordings: Iterable[Recording]) -> str:
    """The card of the demo profile's version that is fitted to these recordings, as one line."""
    profile, recordings = load_profile("demo"), list(recordings)
    labels = {**{label: label for label in profile.labels}, **profile.label_map}
    rows = [
        Row(r.name, r.fold, u.start, u.end, "", profile.labels.index(labels[u.emotion]), None)
        for r in recordings
        for u in r.utterances
        if labels.get(u.emotion) in profile.labels
    ]
    split = split_rows(rows, profile.protocol, profile.labels)
    card = model_card(
        profile,
        split,
        best_epoch=1,
        epochs=1,
        validation={"macro_f1": 0.5},
        temperature=Temperature(1.0, 20, 1.0, 1.0),
        origins=Sound(recordings, split.rows).origins(split.rows),
    )
    return " ".join(card.split())


def of_set(name: str, licence: str, recordings: Iterable[Recording]) -> Iterable[Recording]:
    """The recordings, as a set of that name and licence would have them."""
    columns = (("set", name), ("licence", licence), ("language", "de"))
    for r in recordings:
        yield Recording(
            f"{name}-{r.name}", r.audio, r.fold, r.scripted, r.utterances, columns=columns
        )


@pytest.fixture(scope="module")
def demo(demo_corpus: Path) -> list[Recording]:
    return read_corpus(demo_corpus)


def test_the_demo_corpus_is_named_with_its_licence_its_language_and_what_it_is(
    demo: list[Recording], demo_corpus: Path
) -> None:
    card = card_of(demo)
    page = " ".join((demo_corpus / "README.md").read_text(encoding="utf-8").split())
    (own,) = re.findall(r"The corpus is under the project's licence, (\S+)\.", page)
    sources = re.findall(r"Apache-2\.0|\bMIT\b", page.partition("## Voices and licences")[2])
    assert own == "Apache-2.0" and {*sources} == {"Apache-2.0", "MIT"}
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    # Four sessions of 56 scored turns: the fifth tests.
    assert f"the strictest first: {own.replace('-', ' ')} (224 examples)." in card
    assert max(map(strictness, sources)) <= strictness(own)
    assert "Sets: demo. Languages: en." in card
    assert "The demo corpus is synthetic speech." in card
    assert "this version is not fit to be used on them" in card
    assert "commercial" not in card and "ask before" not in card


def test_every_card_says_what_it_is_for_and_what_it_must_not_be_used_for(
    demo: list[Recording],
) -> None:
    for card in (card_of(demo), card_of(of_set("savee", "research only", demo))):
        assert "## Intended use To tell, of recorded conversations whose speakers know" in card
        assert all(ban in card for ban in BANS)


def test_of_several_sets_the_strictest_licence_comes_first(demo: list[Recording]) -> None:
    """As the corpus' page states the licences of published sets."""
    page = (ROOT / "components" / "corpus" / "README.md").read_text(encoding="utf-8")
    rows = (line.split("|") for line in page.splitlines() if re.match(r"\| `[a-z-]+` \|", line))
    stated = {cells[1].strip(" `"): cells[5].strip() for cells in rows if len(cells) > 6}
    assert stated.keys() == SETS.keys()
    for name in stated.keys() - {"emobox"}:
        licence = SETS[name].licence
        assert re.split("[,:]", stated[name])[0] == licence
    for names, first, note in (
        (("demo", "crema-d"), "ODbL 1.0", None),
        (("crema-d", "ravdess", "emo-db"), "CC BY-NC-SA 4.0", "**Not for commercial use**"),
        (("ravdess", "savee", "tess"), "research only", "**Not for commercial use**"),
        (("savee", "meld"), "unknown", "ask before this version goes to anybody else"),
    ):
        parts = (demo if n == "demo" else of_set(n, SETS[n].licence, demo) for n in names)
        card = card_of(recording for part in parts for recording in part)
        assert f"the strictest first: {first} (224 examples)," in card
        assert f"Sets: {', '.join(sorted(names))}." in card
        for said in ("**Not for commercial use**", "ask before this version goes to anybody else"):
            assert (said in card) == (said == note), names
        assert ("The demo corpus is synthetic" in card) == ("demo" in names)
