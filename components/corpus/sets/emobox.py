"""EmoBox: one layout of metadata and folds for 32 sets.

data/ravdess/label_map.json                             the set's codes and EmoBox's words
data/ravdess/fold_1/ravdess_test_fold_1.jsonl           or .json; also train and valid
data/ravdess/data.seg.wrd.stm                           who speaks
data/ravdess/corpus.cfg                                 the language
downloads/ravdess/…/Actor_11/03-01-07-02-02-02-11.wav   as the metadata names it
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.base import InputError, parse_json, read_json, read_text
from components.conversation import recording_name
from components.corpus.sets.clips import Clip, Listing, emotion_of

LANGUAGES = {
    "aesdd": "el", "ased": "am", "cafe": "fr", "casia": "zh", "cremad": "en", "emns": "en",
    "emodb": "de", "emovdb": "en", "emovo": "it", "emozionalmente": "it", "enterface": "en",
    "iemocap": "en", "jlcorpus": "en", "m3ed": "zh", "mead": "en", "meld": "en", "mer2023": "zh",
    "mesd": "es", "msppodcast": "en", "oreau": "fr", "pavoque": "de", "polish": "pl",
    "ravdess": "en", "resd": "ru", "savee": "en", "shemo": "fa", "subesco": "bn", "tess": "en",
    "turevdb": "tr", "urdu": "ur",
}  # fmt: skip
"""EmoBox's own files name some wrong: `corpus.cfg` has AESDD's and ASED's exchanged."""

FREE = {"m3ed", "meld", "mer2023", "msppodcast", "urdu", "asvpesd", "iemocap", "enterface"}
"""Sets of which not all is read from a script."""

WORDS = {"no-agreement": "undecided"}

_LISTS = re.compile(r"(?P<set>\w+)_(?P<part>train|valid|test)_fold_(?P<fold>\d+)\.jsonl?")
_SPEAKER = re.compile(r"(?P<key>.+?) \d+ (?P<speaker>.+?) [\d.]+ [\d.]+ <")


def read_emobox(folder: Path) -> Listing:
    """Every set of EmoBox' metadata whose sound is there, wholly or in part.

    `folder` holds `data` and `downloads`; or it is `data`, or one set's folder in there. Where
    there are folds to leave out in turn, an utterance's fold is the one that tests it; where there
    is one, it is `train`, `valid` or `test`. With several sets their names begin with the set's.
    """
    if any(folder.glob("fold_*")):
        sets, root = [folder], folder.parent.parent
    else:
        data = folder / "data" if (folder / "data").is_dir() else folder
        root = data.parent
        sets = sorted({path.parent for path in data.glob("*/fold_*") if path.is_dir()})
    whole = Listing()
    listings = {path.name: _read_set(path, root) for path in sets}
    there = {name: listing for name, listing in listings.items() if listing.clips}
    if len(listings) > len(there) > 0:
        count = len(listings) - len(there)
        whole.notes.append(f"{count} sets are left out: none of their sound is there")
    for name, listing in (there or listings).items():
        prefix = f"{name}-" if len(there) > 1 else ""
        whole.clips += [replace(clip, fold=f"{prefix}{clip.fold}") for clip in listing.clips]
        whole.missing += listing.missing
        whole.lacking += listing.lacking
        whole.notes += listing.notes
    return whole


def _read_set(folder: Path, root: Path) -> Listing:
    listing, name = Listing(), folder.name
    rows, folds = _rows_and_folds(folder)
    if not rows:
        return listing
    words: dict[str, str] = {}
    if (folder / "label_map.json").is_file():
        words = read_json(folder / "label_map.json")
    speakers = _speakers(folder / "data.seg.wrd.stm")
    if not speakers:
        listing.notes.append(f"{name}: data.seg.wrd.stm is not there: no speaker is known")
    for key, row in rows.items():
        file, label = str(row.get("wav") or row["audio"]), str(row.get("emo") or row["label"])
        if row.get("end_time") is not None:
            raise InputError(f"{folder}: {key} is a part of a longer file; cut the file first")
        path = root / file
        if not path.is_file():
            listing.missing.append(file)
            listing.lacking += 1
            continue
        word = emotion_of(str(words.get(label, label)))
        clip_name = recording_name(key.removeprefix(f"{name}-"))
        speaker = speakers.get(key, clip_name)
        listing.clips.append(
            Clip(
                f"{name}-{clip_name}", path, "_".join(speaker.split()), _sex(speaker), "",
                label, WORDS.get(word, word), folds.get(key, "train"), _language(name, key),
                scripted=None if name in FREE else True, columns={"set": name},
            )
        )  # fmt: skip
    return listing


def _rows_and_folds(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """All entries by key, and the fold of each."""
    rows: dict[str, dict[str, Any]] = {}
    folds: dict[str, str] = {}
    lists: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob("fold_*/*.json*")):
        match = _LISTS.fullmatch(path.name)
        if match and match["set"] == folder.name:  # .jsonl comes after .json, and goes before it
            lists[match["fold"], match["part"]] = path
    several = len({fold for fold, _ in lists}) > 1
    for (fold, part), path in lists.items():
        for key, row in _entries(path):
            rows.setdefault(key, row)
            if not several:
                folds[key] = part
            elif part == "test" and folds.setdefault(key, f"fold_{fold}") != f"fold_{fold}":
                raise InputError(f"{path}: {key} is tested in {folds[key]}, too; take EmoBox's")
    return rows, folds


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix == ".json":
        content = read_json(path)
        entries = [{"key": key, **entry} for key, entry in content.items()]
    else:
        lines = read_text(path).split("\n")
        entries = [
            parse_json(line, f"{path}: line {number}")
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
    for entry in entries:
        if not isinstance(entry, dict) or not entry.get("key"):
            raise InputError(f"{path}: an entry lacks 'key'; take EmoBox's file")
        for name, older in (("wav", "audio"), ("emo", "label")):
            if not (entry.get(name) or entry.get(older)):
                raise InputError(f"{path}: {entry['key']}: lacks {name!r}; take EmoBox's file")
        yield str(entry["key"]), entry


def _speakers(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    matches = map(_SPEAKER.match, read_text(path).split("\n"))
    return {match["key"]: match["speaker"] for match in matches if match}


def _sex(speaker: str) -> str | None:
    """Of a name such as `male_03` or `Female-10`; None where it does not say."""
    match = re.match(r"(fe)?male(?![a-z])", speaker.lower())
    return None if match is None else "F" if match[1] else "M"


def _language(name: str, key: str) -> str:
    if name == "esd":
        number = re.search(r"-(00\d\d)-", key)
        return "unknown" if number is None else "zh" if int(number[1]) <= 10 else "en"
    return LANGUAGES.get(name, "unknown")
