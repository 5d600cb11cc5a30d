"""Reading IEMOCAP's own layout: what its files hold, and what is wrong with broken ones."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.base import InputError
from components.conversation import Utterance, read_audio
from components.corpus import read_corpus

Edit = Callable[[str, str, str], Path]


def test_reads_a_dialogue_as_it_is_distributed(iemocap: Path) -> None:
    first, second = read_corpus(iemocap)
    assert (first.name, first.fold, first.scripted) == ("Ses01F_impro01", "Session1", False)
    assert first.audio == iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    assert first.utterances == (
        Utterance(
            "Ses01F_impro01_F000",
            "Ses01F_impro01",
            6.2901,
            8.2357,
            "Ses01_F",
            "F",
            "Excuse me.",
            "neutral",
        ),
        Utterance(
            "Ses01F_impro01_M000",
            "Ses01F_impro01",
            8.0,
            9.5,
            "Ses01_M",
            "M",
            "At the café, yeah!",
            "happy",
        ),
        Utterance(
            "Ses01F_impro01_F001",
            "Ses01F_impro01",
            10.01,
            11.3925,
            "Ses01_F",
            "F",
            "Is there a problem?",
            "undecided",
        ),
    )
    assert (second.name, second.fold, second.scripted) == ("Ses02M_script01_1b", "Session2", True)
    assert second.speakers == ("Ses02_F", "Ses02_M")
    assert [u.emotion for u in second.utterances] == ["angry", "frustrated", "sad", "happy"]


@pytest.mark.parametrize(
    "line",
    [
        "M: [LAUGHTER]",
        "F : Oh.",
        "[LAUGHTER]",
        "Ses01F_impro01_FXX0 [-01.0000--01.0000]: Hm.",
        "Ses01F_impro01_FXX12 [009.9000-009.6000]: [LAUGHTER], that's what they say.",
    ],
)
def test_what_was_said_but_not_rated_is_left_out(iemocap: Path, edit: Edit, line: str) -> None:
    before = read_corpus(iemocap)
    edit("transcriptions", "M: [LAUGHTER]", line)
    assert read_corpus(iemocap) == before


def test_an_utterance_marked_a_little_beyond_the_sound_is_cut_back(iemocap: Path) -> None:
    last = read_corpus(iemocap)[1].utterances[-1]
    assert last.end == pytest.approx(4.9)
    assert read_audio(read_corpus(iemocap)[1].audio, last.start, last.end).size == 14400


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_reads_flac_and_ogg(iemocap: Path, suffix: str) -> None:
    import soundfile

    wav = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    soundfile.write(wav.with_suffix(suffix), *soundfile.read(wav))
    wav.unlink()
    assert read_corpus(iemocap)[0].audio.suffix == suffix


@pytest.mark.parametrize(
    ("label", "emotion"),
    [
        ("ang", "angry"),
        ("exc", "happy"),
        ("fea", "fearful"),
        ("sur", "surprised"),
        ("dis", "disgusted"),
        ("oth", "other"),
        ("xxx", "undecided"),
        ("SAD", "sad"),
    ],
)
def test_labels(iemocap: Path, edit: Edit, label: str, emotion: str) -> None:
    edit("EmoEvaluation", "\tneu\t", f"\t{label}\t")
    assert read_corpus(iemocap)[0].utterances[0].emotion == emotion


@pytest.mark.parametrize(
    ("kind", "old", "new", "fault"),
    [
        ("EmoEvaluation", "\tneu\t", "\tjoy\t", r"line 3: unknown label 'joy'"),
        ("EmoEvaluation", "[6.2901 - 8.2357]", "[6.2901 - ", r"line 3: is not a line of"),
        ("EmoEvaluation", "[6.2901 - 8.2357]", "[6.2901 - 8.2.357]", r"line 3: a time"),
        ("EmoEvaluation", "[6.2901 - 8.2357]", "[8.2357 - 6.2901]", r"line 3: .* before it starts"),
        ("EmoEvaluation", "[6.2901 - 8.2357]", "[-1.0 - 8.2357]", r"line 3: .* before the rec"),
        ("EmoEvaluation", "C-E2:", "garbage\nC-E2:", r"line 4: is not a line of .*'garbage'"),
        ("EmoEvaluation", "_F001\t", "_F000\t", r"line 10: Ses01F_impro01_F000 is labelled twice"),
        ("EmoEvaluation", "_F001\t", "\t", r"line 10: Ses01F_impro01 is not an utterance's name"),
        ("EmoEvaluation", "F001\t", "F009\t", r"transcriptions.*: has no line for .*_F009"),
        ("transcriptions", "M000 [008.0000-009.5000]:", "M000 Well,", r"line 2: is not a line of"),
        ("transcriptions", "[006.2901-008.2357]", "[008.2357-006.2901]", r"line 1: .* before it"),
        ("transcriptions", "_MXX0", "_M000", r"line 4: .*_M000 is transcribed twice"),
    ],
)
def test_a_broken_line_is_named(
    iemocap: Path, edit: Edit, kind: str, old: str, new: str, fault: str
) -> None:
    path = edit(kind, old, new)
    with pytest.raises(InputError, match=fault) as raised:
        read_corpus(iemocap)
    message = str(raised.value)
    assert path.name in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ("transcriptions/Ses01F_impro01.txt", "no such file; every dialogue needs its transcript"),
        ("EmoEvaluation/Ses01F_impro01.txt", "no such file; every dialogue needs its EmoEval"),
        ("wav/Ses01F_impro01.wav", "wav: holds no audio file"),
        ("transcriptions", "transcriptions: no such folder"),
        ("EmoEvaluation", "EmoEvaluation: no such folder"),
        ("wav", "wav: no such folder"),
    ],
)
def test_what_is_missing_is_named(iemocap: Path, missing: str, fault: str) -> None:
    path = iemocap / "Session1" / "dialog" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=fault) as raised:
        read_corpus(iemocap)
    assert str(iemocap / "Session1" / "dialog") in str(raised.value)


def test_labels_without_their_sound(iemocap: Path) -> None:
    wav = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    wav.rename(wav.with_name("Ses01F_impro02.wav"))
    with pytest.raises(InputError, match=re.escape("Ses01F_impro01.wav: no such audio file")):
        read_corpus(iemocap)


def test_sound_that_is_no_sound(iemocap: Path) -> None:
    wav = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    wav.write_text("not a sound")
    with pytest.raises(InputError, match=wav.name):
        read_corpus(iemocap)


def test_the_same_dialogue_in_two_audio_files(iemocap: Path) -> None:
    wav = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    shutil.copy(wav, wav.with_suffix(".flac"))
    with pytest.raises(InputError, match="two audio files"):
        read_corpus(iemocap)


def test_an_utterance_outside_its_recording(iemocap: Path, edit: Edit) -> None:
    edit("EmoEvaluation", "[10.0100 - 11.3925]", "[10.0100 - 13.0000]")
    with pytest.raises(InputError, match=r"lasts 12\.00 s, but utterance Ses01F_impro01_F001"):
        read_corpus(iemocap)


def test_a_name_used_in_two_dialogues(iemocap: Path) -> None:
    dialog = iemocap / "Session1" / "dialog"
    for kind, suffix in (("wav", "wav"), ("transcriptions", "txt"), ("EmoEvaluation", "txt")):
        path = dialog / kind / f"Ses01F_impro01.{suffix}"
        shutil.copy(path, path.with_stem("Ses01F_impro02"))
    with pytest.raises(InputError, match=r"Ses01F_impro02\.txt: utterance .*_F000 is also in"):
        read_corpus(iemocap)


def test_a_dialogue_named_otherwise(iemocap: Path) -> None:
    dialog = iemocap / "Session1" / "dialog"
    for kind, suffix in (("wav", "wav"), ("transcriptions", "txt"), ("EmoEvaluation", "txt")):
        path = dialog / kind / f"Ses01F_impro01.{suffix}"
        path.rename(path.with_stem("dialogue one"))
    with pytest.raises(InputError, match=r"dialogue one\.wav: is not named as IEMOCAP's"):
        read_corpus(iemocap)


def test_a_dialogue_without_labels(iemocap: Path) -> None:
    evaluation = iemocap / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    evaluation.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n")
    with pytest.raises(InputError, match=r"Ses01F_impro01\.txt: labels no utterance"):
        read_corpus(iemocap)


def test_a_folder_that_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no corpus"):
        read_corpus(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_corpus(tmp_path / "nowhere")
