"""Sets with a table of what is said by whom: ESD, MELD, nEMO, MSP-Podcast."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.base import InputError, read_json
from components.conversation import AUDIO_SUFFIX
from components.corpus.sets.clips import (
    Clip,
    Listing,
    emotion_of,
    find_below,
    once_each,
    read_table,
    sex_of,
    sound_files,
)

ESD_NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
ESD_LABELS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
"""In the order of the files' numbers, 350 of each."""
ESD_EACH = 350
ESD_WOMEN = ["0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018", "0019"]
ESD_PARTS = ("train", "evaluation", "test")
ESD_FOLDS = (
    "0005 0011 0016 0018", "0012 0014 0015 0019", "0003 0004 0006 0009",
    "0007 0008 0013 0020", "0001 0002 0010 0017",
)  # fmt: skip
"""EmoBox's five folds of ESD's speakers."""

MELD_PARTS = {
    "train": ("train_splits",),
    "dev": ("dev_splits_complete",),
    "test": ("output_repeated_splits_test",),
}
MELD_FAULTY = {("train", "dia125_utt3"), ("dev", "dia110_utt7")}
"""What MELD lists and nobody can hear: the one's film is damaged, the other's not there."""
MELD_SEXES = {
    **dict.fromkeys(("Monica", "Phoebe", "Rachel"), "F"),
    **dict.fromkeys(("Chandler", "Joey", "Ross"), "M"),
}

MSP_LABELS = {
    "A": "angry", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust",
    "C": "contempt", "N": "neutral", "O": "other", "X": "undecided",
}  # fmt: skip
"""X is where the raters disagree."""


def read_esd(folder: Path) -> Listing:
    """ESD: `0011/Angry/train/0011_000371.wav`, or without the parts; words in `0011/0011.txt`.

    Its own parts (`part`) hold all speakers each, so the folds are EmoBox's.
    """
    listing = Listing()
    fold_of = {name: f"fold_{k}" for k, row in enumerate(ESD_FOLDS, 1) for name in row.split()}
    texts: dict[str, dict[str, str]] = {}
    for stem, path in sorted(once_each(sound_files(folder), listing.notes).items()):
        match = ESD_NAME.fullmatch(stem)
        number = int(match[2]) if match else 0
        if match is None or not 1 <= number <= ESD_EACH * len(ESD_LABELS):
            listing.misnamed.append(path)
            continue
        speaker = match[1]
        if speaker not in texts:
            texts[speaker] = _esd_texts(folder, speaker, listing)
        label = ESD_LABELS[(number - 1) // ESD_EACH]
        part = path.parent.name.lower()
        listing.clips.append(
            Clip(
                stem, path, speaker, "F" if speaker in ESD_WOMEN else "M",
                texts[speaker].get(stem, ""), label, emotion_of(label), fold_of[speaker],
                "zh" if int(speaker) <= 10 else "en",
                columns={"part": part} if part in ESD_PARTS else {},
            )
        )  # fmt: skip
    names = [
        f"{speaker}/{ESD_LABELS[number // ESD_EACH]}/{speaker}_{number + 1:06d}.wav"
        for speaker in sorted(fold_of)
        for number in range(ESD_EACH * len(ESD_LABELS))
    ]
    present = (f"{c.speaker}/{c.label}/{c.name}.wav" for c in listing.clips)
    listing.expect(names, present)
    return listing


def _esd_texts(folder: Path, speaker: str, listing: Listing) -> dict[str, str]:
    """A speaker's sentences by file. The files are of three encodings."""
    path = find_below(folder, f"{speaker}/{speaker}.txt")
    if path is None:
        listing.notes.append(f"{speaker}/{speaker}.txt is not there: its words are not known")
        return {}
    content = path.read_bytes()
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ["utf-16"] if wide else ["utf-8-sig", "gb18030"]:
        try:
            lines = content.decode(encoding).splitlines()
        except UnicodeDecodeError:
            continue
        rows = (line.split("\t") for line in lines if line.strip())
        return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
    raise InputError(f"{path}: is not a text file in UTF-8, UTF-16 or GB 18030")


def read_meld(folder: Path) -> Listing:
    """MELD: `train_sent_emo.csv` with `train_splits/dia0_utt0.mp4`, and so for dev and test.

    The folds are MELD's parts. The six friends are in all of them. Dialogues are counted anew in
    each part, so a clip's name begins with it. The folders may lie in `train`, `dev`, `test`.
    """
    listing = Listing()
    for part, folders in MELD_PARTS.items():
        table = find_below(folder, f"{part}_sent_emo.csv")
        films = find_below(folder, *folders)
        if table is None or films is None:
            lost = f"{part}_sent_emo.csv" if table is None else folders[0]
            listing.missing.append(lost)
            listing.lacking += 1
            continue
        there = {p.stem: p for p in sorted(films.iterdir()) if AUDIO_SUFFIX.search(p.name)}
        for row in _meld_rows(table):
            stem = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            if (part, stem) in MELD_FAULTY:
                listing.notes.append(f"{part} {stem} is left out: MELD's own file is damaged")
                continue
            if stem not in there:
                listing.missing.append(f"{films.name}/{stem}.mp4")
                listing.lacking += 1
                continue
            speaker = "_".join(row["Speaker"].split()) or "nobody"
            listing.clips.append(
                Clip(
                    f"{part}_{stem}", there[stem], speaker, MELD_SEXES.get(speaker),
                    row["Utterance"], row["Emotion"], emotion_of(row["Emotion"]), part, "en",
                    columns={"dialogue": f"{part}_dia{row['Dialogue_ID']}"},
                )
            )  # fmt: skip
    return listing


def _meld_rows(table: Path) -> Iterator[dict[str, str]]:
    columns = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
    for row in read_table(table, columns):
        # Windows' quotation marks were taken for Latin-1's control characters.
        text = re.sub(
            "[\x80-\x9f]", lambda m: m[0].encode("latin-1").decode("cp1252", "ignore"),
            row["Utterance"],
        )  # fmt: skip
        yield row | {"Utterance": text}


def read_nemo(folder: Path) -> Listing:
    """nEMO: `data.tsv` and `samples/EB0_anger_1.wav`, nine speakers in Polish, a fold each."""
    listing = Listing()
    table = find_below(folder, "data.tsv")
    if table is None:
        return listing
    columns = ("file_id", "emotion", "raw_text", "speaker_id", "gender")
    for row in read_table(table, columns, "\t"):
        name = row["file_id"].removesuffix(".wav")
        path = table.parent / "samples" / f"{name}.wav"
        if not path.is_file():
            listing.missing.append(f"samples/{name}.wav")
            listing.lacking += 1
            continue
        speaker, label = row["speaker_id"], row["emotion"]
        listing.clips.append(
            Clip(
                name, path, speaker, sex_of(row["gender"]), row["raw_text"], label,
                emotion_of(label), f"speaker_{speaker}", "pl",
                columns={"age": row["age"]} if row.get("age") else {},
            )
        )  # fmt: skip
    return listing


def read_msp_podcast(folder: Path) -> Listing:
    """MSP-Podcast: `Labels/labels_consensus.csv` (or JSON), `Audios`, `Transcripts`.

    The folds are its partitions; where the table has none, those of `Partitions.txt`. Clips without
    a published label (`Test3`) are left out.
    """
    listing = Listing()
    kinds = [f"labels_con{s}ensus.{kind}" for kind in ("csv", "json") for s in "sc"]
    table = find_below(folder, *kinds)
    sounds = find_below(folder, "Audios", "Audio")
    if table is None or sounds is None:
        return listing
    inner = sounds / sounds.name
    sounds = inner if inner.is_dir() else sounds
    there = {path.name for path in sounds.iterdir()}
    transcripts = find_below(folder, "Transcripts")
    if transcripts is None:
        listing.notes.append("Transcripts is not there: no words are known")
    partitions = _msp_partitions(folder)
    unlabelled = 0
    for row in _msp_rows(table):
        file, code = row["FileName"], row["EmoClass"]
        fold = row.get("Split_Set") or partitions.get(file, "")
        if code not in MSP_LABELS or not fold:
            if code and code not in MSP_LABELS:
                raise InputError(f"{table}: {file}: has the label {code!r}, none of the set's")
            unlabelled += 1
            continue
        if file not in there:
            listing.missing.append(f"{sounds.name}/{file}")
            listing.lacking += 1
            continue
        name = file.rpartition(".")[0]
        speaker = row["SpkrID"]
        if speaker.lower() in ("unknown", ""):  # one word for many people
            speaker = f"{name.rpartition('_')[0]}_somebody"
        label = MSP_LABELS[code]
        listing.clips.append(
            Clip(
                name, sounds / file, "_".join(speaker.split()), sex_of(row["Gender"]),
                _msp_text(transcripts, name), label, emotion_of(label), fold, "en", scripted=False,
            )
        )  # fmt: skip
    if unlabelled:
        listing.notes.append(f"{unlabelled} clips without a label or a partition are left out")
    return listing


def _msp_rows(table: Path) -> Iterator[Mapping[str, str]]:
    columns = ("FileName", "EmoClass", "SpkrID", "Gender")
    if table.suffix == ".csv":
        yield from read_table(table, columns)
        return
    content: Any = read_json(table)
    for file, entry in content.items() if isinstance(content, dict) else ():
        row = {"FileName": file, **(entry if isinstance(entry, dict) else {})}
        for column in columns:
            if column not in row:
                raise InputError(f"{table}: {file}: lacks {column}; take the set's own file")
        yield {name: str(value).strip() for name, value in row.items()}


def _msp_partitions(folder: Path) -> dict[str, str]:
    """`Train; MSP-PODCAST_0002_0033.wav`, a line a file."""
    path = find_below(folder, "Partitions.txt", "partitions.txt", "Partitions/*.txt")
    if path is None:
        return {}
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    pairs = (re.split(r"\s*[;,]\s*", line.strip()) for line in lines)
    return {pair[1]: pair[0] for pair in pairs if len(pair) > 1}


def _msp_text(transcripts: Path | None, name: str) -> str:
    if transcripts is None:
        return ""
    try:
        text = (transcripts / f"{name}.txt").read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""
    return " ".join(text.split())
