"""Sets whose files' names say everything: RAVDESS, CREMA-D, EMO-DB, TESS, SAVEE."""

import re
from itertools import product
from pathlib import Path

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

RAVDESS_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
RAVDESS_LABELS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}  # fmt: skip
RAVDESS_TEXTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
RAVDESS_FOLDS = (
    "01 11 20 21", "04 10 12 14", "08 09 19 23", "03 05 07 24", "02 15 16 18", "06 13 17 22",
)  # fmt: skip
"""EmoBox's six folds of RAVDESS' actors."""

CREMA_D_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX?)")
CREMA_D_LABELS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear",
    "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
CREMA_D_TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
CREMA_D_FILES = 7442

EMO_DB_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z]?)")
EMO_DB_LABELS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear",
    "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
"""By the first letter of the German word: Wut, Langeweile, Ekel, Angst, Freude, Trauer."""
EMO_DB_WOMEN = ("08", "09", "13", "14", "16")
EMO_DB_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
EMO_DB_FILES = 535

TESS_NAME = re.compile(r"(OA|YA)F?_([A-Za-z'-]+)_(angry|disgust|fear|happy|neutral|ps|sad)")
TESS_LABELS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
TESS_FILES = 2800

SAVEE_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(a|d|f|h|n|sa|su)(\d\d)")
SAVEE_LABELS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness",
    "n": "neutral", "sa": "sadness", "su": "surprise",
}  # fmt: skip
SAVEE_FOLDS = {"JE": "fold_1", "KL": "fold_2", "DC": "fold_3", "JK": "fold_4"}
"""EmoBox's: a speaker each."""


def read_ravdess(folder: Path) -> Listing:
    """RAVDESS: `Actor_12/03-01-06-01-02-01-12.wav`, or the films `01-01-…mp4`; songs are left out.

    Where a clip is there as sound and as film, the sound is read.
    """
    listing = Listing()
    fold_of = {
        actor: f"fold_{k}" for k, row in enumerate(RAVDESS_FOLDS, 1) for actor in row.split()
    }
    files = once_each(sound_files(folder), listing.notes)
    songs = silent = 0
    for stem, path in sorted(files.items(), reverse=True):  # 03, the sound, before 01, the film
        match = RAVDESS_NAME.fullmatch(stem)
        if match is None:
            listing.misnamed.append(path)
            continue
        modality, channel, emotion, intensity, statement, _, actor = match.groups()
        songs += channel == "02"
        silent += modality == "02" and channel == "01"
        twin = modality == "01" and f"03{stem[2:]}" in files
        if channel == "02" or modality == "02" or twin:
            continue
        label = RAVDESS_LABELS[emotion]
        listing.clips.append(
            Clip(
                stem, path, f"actor{actor}", "M" if int(actor) % 2 else "F",
                RAVDESS_TEXTS[statement], label, emotion_of(label), fold_of[actor], "en",
                columns={"intensity": "strong" if intensity == "02" else "normal"},
            )
        )  # fmt: skip
    if songs:
        listing.notes.append(f"{songs} songs are left out")
    if silent:
        listing.notes.append(f"{silent} films without sound are left out")
    listing.clips.reverse()
    names = [
        f"Actor_{actor}/03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor}.wav"
        for actor in sorted(fold_of)
        for emotion, intensity, statement, repetition in product(
            RAVDESS_LABELS, ("01", "02"), ("01", "02"), ("01", "02")
        )
        if (emotion, intensity) != ("01", "02")  # there is no strong neutral
    ]
    listing.expect(names, (f"Actor_{c.name[-2:]}/03{c.name[2:]}.wav" for c in listing.clips))
    return listing


def read_crema_d(folder: Path) -> Listing:
    """CREMA-D: `AudioWAV/1001_DFA_ANG_XX.wav` (or MP3), and `VideoDemographics.csv` for the sex.

    EmoBox' fold has all actors on both sides; here five folds hold every fifth actor each.
    """
    listing = Listing()
    sexes: dict[str, str | None] = {}
    if table := find_below(folder, "VideoDemographics.csv"):
        rows = read_table(table, ("ActorID", "Sex"))
        sexes = {row["ActorID"]: sex_of(row["Sex"]) for row in rows}
    else:
        listing.notes.append("VideoDemographics.csv is not there: nobody's sex is known")
    for stem, path in sorted(once_each(sound_files(folder), listing.notes).items()):
        match = CREMA_D_NAME.fullmatch(stem)
        if match is None or match[2] not in CREMA_D_TEXTS or match[3] not in CREMA_D_LABELS:
            listing.misnamed.append(path)
            continue
        actor, sentence, code, level = match.groups()
        label = CREMA_D_LABELS[code]
        listing.clips.append(
            Clip(
                stem, path, actor, sexes.get(actor), CREMA_D_TEXTS[sentence], label,
                emotion_of(label), f"fold_{(int(actor) - 1001) % 5 + 1}", "en",
                columns={"intensity": level},
            )
        )  # fmt: skip
    names = []
    if table := find_below(folder, "SentenceFilenames.csv"):
        names = [row["Filename"] for row in read_table(table, ("Filename",))]
    listing.expect(names, (clip.name for clip in listing.clips), CREMA_D_FILES)
    return listing


def read_emo_db(folder: Path) -> Listing:
    """EMO-DB: `wav/03a01Fa.wav`. A fold is a speaker: EmoBox' folds have all speakers in each."""
    listing = Listing()
    for stem, path in sorted(once_each(sound_files(folder), listing.notes).items()):
        match = EMO_DB_NAME.fullmatch(stem)
        if match is None or match[2] not in EMO_DB_TEXTS:
            listing.misnamed.append(path)
            continue
        speaker, text, letter, _ = match.groups()
        label, sex = EMO_DB_LABELS[letter], "F" if speaker in EMO_DB_WOMEN else "M"
        emotion, fold = emotion_of(label), f"speaker_{speaker}"
        listing.clips.append(
            Clip(stem, path, speaker, sex, EMO_DB_TEXTS[text], label, emotion, fold, "de")
        )
    listing.expect((), (), EMO_DB_FILES)
    return listing


def read_tess(folder: Path) -> Listing:
    """TESS: `OAF_angry/OAF_back_angry.wav`, two women. A fold is a speaker; EmoBox' has both."""
    listing = Listing()
    there: set[tuple[str, str, str]] = set()
    for stem, path in sorted(once_each(sound_files(folder), listing.notes).items()):
        match = TESS_NAME.fullmatch(stem)
        if match is None:
            listing.misnamed.append(path)
            continue
        speaker, word, code = f"{match[1]}F", match[2].lower(), match[3]
        there.add((speaker, word, code))
        label = "pleasant surprise" if code == "ps" else code
        emotion = "surprised" if code == "ps" else emotion_of(code)
        text, fold = f"Say the word {word}.", f"speaker_{speaker}"
        listing.clips.append(Clip(stem, path, speaker, "F", text, label, emotion, fold, "en"))
    words = sorted({word for _, word, _ in there})
    combined = product(("OAF", "YAF"), words, TESS_LABELS)
    names = ["_".join(parts) for parts in combined]
    listing.expect(names, map("_".join, there), TESS_FILES)
    return listing


def read_savee(folder: Path) -> Listing:
    """SAVEE: `AudioData/DC/a01.wav`, or all in one folder, `DC_a01.wav`. Its words are unknown."""
    listing = Listing()
    there: dict[str, Path] = {}
    for path in sound_files(folder):
        match = SAVEE_NAME.fullmatch(path.stem)
        speaker = (match[1] or path.parent.name) if match else ""
        if match is None or speaker not in SAVEE_FOLDS:
            listing.misnamed.append(path)
            continue
        name = f"{speaker}_{match[2]}{match[3]}"
        if name in there:
            continue
        there[name] = path
        label, fold = SAVEE_LABELS[match[2]], SAVEE_FOLDS[speaker]
        listing.clips.append(
            Clip(name, path, speaker, "M", "", label, emotion_of(label), fold, "en")
        )
    names = [
        f"{speaker}_{code}{number:02d}"
        for speaker, code in product(sorted(SAVEE_FOLDS), SAVEE_LABELS)
        for number in range(1, 31 if code == "n" else 16)
    ]
    listing.expect(names, there)
    return listing
