"""Each published set becomes a manifest, from a folder of its real naming."""

import json
from itertools import product
from pathlib import Path

import pytest

from components.conversation import Recording
from components.corpus import check_corpus, read_corpus
from components.corpus.sets import SETS, import_set
from tests.components.corpus.sets.trees import SECONDS, Trees

Row = tuple[str, str | None, str, str, str, str]

EXPECTED: dict[str, dict[str, Row]] = {  # speaker, sex, words, emotion, fold, language
    "ravdess": {
        "03-01-06-01-02-01-01":
            ("actor01", "M", "Dogs are sitting by the door.", "fearful", "fold_1", "en"),
        "03-01-01-01-01-01-12":
            ("actor12", "F", "Kids are talking by the door.", "neutral", "fold_2", "en"),
        "03-01-02-02-01-02-12":
            ("actor12", "F", "Kids are talking by the door.", "calm", "fold_2", "en"),
        "01-01-05-02-02-01-14":
            ("actor14", "F", "Dogs are sitting by the door.", "angry", "fold_2", "en"),
    },
    "crema-d": {
        "1001_DFA_ANG_XX": ("1001", "M", "Don't forget a jacket.", "angry", "fold_1", "en"),
        "1002_IEO_HAP_HI": ("1002", "F", "It's eleven o'clock.", "happy", "fold_2", "en"),
        "1040_ITH_SAD_X":
            ("1040", None, "I think I have a doctor's appointment.", "sad", "fold_5", "en"),
    },
    "emo-db": {
        "03a01Fa":
            ("03", "M", "Der Lappen liegt auf dem Eisschrank.", "happy", "speaker_03", "de"),
        "08b10Lb": (
            "08", "F", "Die wird auf dem Platz sein, wo wir sie immer hinlegen.", "bored",
            "speaker_08", "de",
        ),
        "16a07Ab":
            ("16", "F", "In sieben Stunden wird es soweit sein.", "fearful", "speaker_16", "de"),
        "15b02Wd": (
            "15", "M", "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
            "angry", "speaker_15", "de",
        ),
    },
    "tess": {
        "OAF_back_angry": ("OAF", "F", "Say the word back.", "angry", "speaker_OAF", "en"),
        "OA_bite_neutral": ("OAF", "F", "Say the word bite.", "neutral", "speaker_OAF", "en"),
        "YAF_back_ps": ("YAF", "F", "Say the word back.", "surprised", "speaker_YAF", "en"),
    },
    "savee": {
        "DC_a01": ("DC", "M", "", "angry", "fold_3", "en"),
        "KL_su15": ("KL", "M", "", "surprised", "fold_2", "en"),
        "JE_n30": ("JE", "M", "", "neutral", "fold_1", "en"),
    },
    "esd": {
        "0001_000051":
            ("0001", "F", "打远一看，它们的确很是美丽，", "neutral", "fold_5", "zh"),
        "0002_000351": ("0002", "F", "他对谁都那么友善。", "angry", "fold_5", "zh"),
        "0011_000721": ("0011", "M", "The nine the eggs, I keep.", "happy", "fold_1", "en"),
        "0018_001750": ("0018", "F", "", "surprised", "fold_1", "en"),
    },
    "meld": {
        "train_dia0_utt0":
            ("Chandler", "M", "I was the point’s person", "neutral", "train", "en"),
        "dev_dia0_utt0": ("Phoebe", "F", "Oh my God, he’s lost it.", "sad", "dev", "en"),
        "test_dia0_utt0": (
            "Mark", None, "Why do all you’re mugs have numbers?", "surprised", "test", "en",
        ),
    },
    "nemo": {
        "EB0_anger_1": ("EB0", "F", "Lubię czytać przed snem.", "angry", "speaker_EB0", "pl"),
        "WR0_surprised_64": ("WR0", "M", "„Ród\" smoka.", "surprised", "speaker_WR0", "pl"),
    },
    "msp-podcast": {
        "MSP-PODCAST_0001_0001": ("39", "M", "I told you, never again.", "angry", "Train", "en"),
        "MSP-PODCAST_0001_0002": ("41", "F", "", "undecided", "Development", "en"),
        "MSP-PODCAST_0001_0003":
            ("MSP-PODCAST_0001_somebody", None, "", "surprised", "Test1", "en"),
    },
    "emobox": {
        "ravdess-03-01-05-01-02-01-01": ("01", None, "", "angry", "fold_1", "en"),
        "ravdess-03-01-05-01-02-01-04": ("04", None, "", "angry", "fold_2", "en"),
        "ravdess-03-01-06-01-02-01-01": ("01", None, "", "fearful", "fold_1", "en"),
        "ravdess-03-01-06-01-02-01-04": ("04", None, "", "fearful", "fold_2", "en"),
    },
}  # fmt: skip


def row(recording: Recording) -> Row:
    (said,) = recording.utterances
    language = recording.column("language") or ""
    return said.speaker, said.sex, said.text, said.emotion, recording.fold, language


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    states = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    return {str(path): (state.st_size, state.st_mtime_ns) for path, state in states}


@pytest.mark.parametrize("name", SETS)
def test_every_set(trees: Trees, tmp_path: Path, name: str) -> None:
    folder = trees.build(name)
    before = contents(folder)
    done = import_set(name, folder, tmp_path / "out", partial=True, listen=True)
    assert contents(folder) == before
    recordings = {recording.name: recording for recording in read_corpus(tmp_path / "out")}
    assert {name: row(recording) for name, recording in recordings.items()} == EXPECTED[name]
    assert done.recordings == len(recordings)
    for recording in recordings.values():
        (said,) = recording.utterances
        assert said.id == recording.name
        assert (said.start, said.end) == (0.0, pytest.approx(SECONDS, abs=0.05))
        assert recording.column("licence")
        assert recording.column("set") == ("ravdess" if name == "emobox" else name)
        assert recording.column("label")


def test_licences_are_those_of_the_sets(trees: Trees, tmp_path: Path) -> None:
    expected = {
        "ravdess": "CC BY-NC-SA 4.0", "crema-d": "ODbL 1.0", "emo-db": "CC0 1.0",
        "tess": "CC BY-NC-ND 4.0", "savee": "research only", "esd": "research only",
        "meld": "unknown", "nemo": "CC BY-NC-SA 4.0", "msp-podcast": "research only",
        "emobox": "CC BY-NC-SA 4.0",  # that of the one set in there
    }  # fmt: skip
    for name, licence in expected.items():
        import_set(name, trees.build(name), tmp_path / name, partial=True)
        assert set(check_corpus(tmp_path / name).licences) == {licence}, name


def test_all_of_ravdess(trees: Trees, tmp_path: Path) -> None:
    """A whole copy needs no leave, and no actor is in two folds."""
    folder = trees.home / "whole"
    for actor in (f"{number:02d}" for number in range(1, 25)):
        for emotion, *others in product(range(1, 9), (1, 2), (1, 2), (1, 2)):
            if emotion > 1 or others[0] == 1:
                codes = "-".join(f"{code:02d}" for code in (emotion, *others))
                trees.add(folder, f"Actor_{actor}/03-01-{codes}-{actor}.wav")
    assert import_set("ravdess", folder, tmp_path / "out").recordings == 1440
    report = check_corpus(tmp_path / "out")
    assert report.folds == {f"fold_{number}": 240 for number in range(1, 7)}
    assert report.emotions["neutral"] == 96
    assert report.emotions["angry"] == 192
    assert report.sexes == {"F": 720, "M": 720}
    assert report.speakers_in_several_folds == 0
    assert [part.fold for part in report.parts] == sorted(report.folds)
    assert report.parts[0].emotions["calm"] == 32


def test_what_is_left_out_is_told(trees: Trees, tmp_path: Path) -> None:
    notes = {
        name: " | ".join(import_set(name, trees.build(name), tmp_path / name, partial=True).notes)
        for name in ("ravdess", "tess", "esd", "meld", "msp-podcast")
    }
    assert "1 songs are left out" in notes["ravdess"]
    assert "1 films without sound are left out" in notes["ravdess"]
    assert "1 files are there twice" in notes["tess"]
    assert "0018/0018.txt is not there" in notes["esd"]
    assert "train dia125_utt3 is left out" in notes["meld"]
    assert "dev dia110_utt7 is left out" in notes["meld"]
    assert "1 clips without a label" in notes["msp-podcast"]


def test_msp_podcast_as_json_with_partitions_of_their_own(trees: Trees, tmp_path: Path) -> None:
    folder = trees.msp_podcast()
    (folder / "Labels" / "labels_consensus.csv").unlink()
    entry = {"EmoClass": "H", "SpkrID": 39, "Gender": "Female"}
    table = {"MSP-PODCAST_0001_0001.wav": entry}
    (folder / "Labels" / "labels_concensus.json").write_text(json.dumps(table))
    (folder / "Partitions.txt").write_text("Test2; MSP-PODCAST_0001_0001.wav\n")
    import_set("msp-podcast", folder, tmp_path / "out")
    (recording,) = read_corpus(tmp_path / "out")
    assert (recording.fold, recording.utterances[0].emotion) == ("Test2", "happy")


def test_emobox_with_two_sets_and_a_third_that_is_not_there(trees: Trees, tmp_path: Path) -> None:
    folder = trees.emobox()
    wavs = {f"aesdd-a0{n}-{n}0": (f"downloads/aesdd/anger/a0{n} (3).wav", "a") for n in (1, 2)}
    trees.add(folder, *(wav for wav, _ in wavs.values()))
    trees.emobox_set(folder, "aesdd", wavs, {"a": "Anger"}, kinds=("json",))
    trees.emobox_set(folder, "urdu", {"urdu-SM1-01": ("downloads/urdu/SM1.wav", "A")}, {})
    done = import_set("emobox", folder, tmp_path / "out")
    assert "1 sets are left out" in done.notes[0]
    report = check_corpus(tmp_path / "out")
    assert report.folds == {
        "aesdd-fold_1": 1, "aesdd-fold_2": 1, "ravdess-fold_1": 2, "ravdess-fold_2": 2
    }  # fmt: skip
    assert report.languages == {"el": 2, "en": 4}
    assert report.licences == {"CC BY-NC-SA 4.0": 4, "unknown": 2}
    assert report.emotions == {"angry": 4, "fearful": 2}
    one = import_set("emobox", folder / "data" / "aesdd", tmp_path / "one")
    assert one.recordings == 2
