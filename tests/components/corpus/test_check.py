"""The report on a corpus, the manifest that comes of it, and the pipeline's component."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.conversation import FEEDBACK, read_manifest, write_manifest
from components.corpus import check_corpus, read_corpus

Edit = Callable[[str, str, str], Path]


def test_report(iemocap: Path) -> None:
    report = check_corpus(iemocap)
    assert (report.recordings, report.utterances) == (2, 7)
    assert report.emotions == {
        "angry": 1,
        "frustrated": 1,
        "happy": 2,
        "neutral": 1,
        "sad": 1,
        "undecided": 1,
    }
    assert report.folds == {"Session1": 3, "Session2": 4}
    assert report.speakers == {"Ses01_F": 2, "Ses01_M": 1, "Ses02_F": 2, "Ses02_M": 2}
    assert report.seconds == pytest.approx(16.9)
    # 6.2901–8.2357 and 8.0–9.5 are two people's.
    assert report.overlap_seconds == pytest.approx(0.236)
    spoken = 1.9456 + 1.5 + 1.3825 + 1.5 + 0.8 + 0.899 + 0.9
    assert report.utterance_seconds == pytest.approx(spoken, abs=1e-3)


def test_the_digest_is_of_the_content(iemocap: Path, tmp_path: Path, edit: Edit) -> None:
    digest = check_corpus(iemocap).digest
    shutil.copytree(iemocap, tmp_path / "elsewhere")
    assert check_corpus(tmp_path / "elsewhere").digest == digest
    write_manifest(tmp_path / "manifest", read_corpus(iemocap))
    assert check_corpus(tmp_path / "manifest").digest == digest
    edit("EmoEvaluation", "\tneu\t", "\tsad\t")
    assert check_corpus(iemocap).digest != digest
    edit("EmoEvaluation", "\tsad\t", "\tneu\t")
    assert check_corpus(iemocap).digest == digest
    sound = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    data = bytearray(sound.read_bytes())
    data[1000] ^= 1
    sound.write_bytes(data)
    assert check_corpus(iemocap).digest != digest


def test_a_manifest_says_the_same(iemocap: Path, tmp_path: Path) -> None:
    recordings = read_corpus(iemocap)
    write_manifest(tmp_path / "manifest", recordings)
    assert read_corpus(tmp_path / "manifest") == recordings
    assert read_corpus(tmp_path / "manifest" / "manifest.jsonl") == recordings


def test_a_manifest_with_a_fault(iemocap: Path, tmp_path: Path) -> None:
    folder = tmp_path / "manifest"
    write_manifest(folder, read_corpus(iemocap))
    reference = folder / "reference" / "Ses01F_impro01.json"
    entries = json.loads(reference.read_text())
    entries[0]["end_time"] = 99.0
    reference.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"lasts 12\.00 s, but utterance Ses01F_impro01_F000"):
        read_corpus(folder)
    (folder / "manifest.jsonl").write_text("{broken\n")
    with pytest.raises(InputError, match=r"manifest\.jsonl: line 1"):
        read_corpus(folder)


def faulty(folder: Path, change: Callable[[list[dict]], object]) -> Path:
    """The manifest's first reference, changed."""
    reference = folder / "reference" / "Ses01F_impro01.json"
    entries = json.loads(reference.read_text())
    change(entries)
    reference.write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda e: e[0].pop("emotion"), r"Ses01F_impro01\.json: utterance 1: lacks 'emotion'"),
        (lambda e: e[1].update(end_time=7.0), r"utterance 2: .*ends before it starts: 8.0–7.0"),
        (lambda e: e.clear(), r"Ses01F_impro01: its reference names no utterance"),
        (lambda e: e[0].update(emotion=["sad"]), r"utterance 1: 'emotion' is \['sad'\], not a"),
        (lambda e: e[0].update(emotion=None), r"utterance 1: 'emotion' is None, not a"),
        (
            lambda e: e[0].update(start_time="-1"),
            r"utterance 1: 'start_time' is '-1'; it sh",
        ),
        (lambda e: e[0].update(start_time=-1), r"utterance 1: 'start_time' is -1; it should be"),
        (lambda e: e[0].update(start_time="?"), r"utterance 1: 'start_time' is '\?', not a number"),
        (lambda e: e[0].update(start_time=float("nan")), r"utterance 1: .*not a number"),
        (
            lambda e: e[0].update(sex="woman"),
            r"utterance 1: 'sex' is 'woman'; it should be 'F'",
        ),
        (lambda e: e[2].update(utterance_id=e[0]["utterance_id"]), r"_F000 is named twice"),
        (
            lambda e: e[2].update(start_time=8.0),
            r"Ses01F_impro01: Ses01_F begins utterance Ses01F_impro01_F001 at 8\.00 s, within their"
            r" utterance Ses01F_impro01_F000, which ends at 8\.24 s; correct",
        ),
    ],
)
def test_a_reference_with_a_fault_is_named_with_the_place(
    iemocap: Path, tmp_path: Path, change: Callable[[list[dict]], object], fault: str
) -> None:
    write_manifest(tmp_path / "manifest", read_corpus(iemocap))
    with pytest.raises(InputError, match=fault) as raised:
        read_corpus(faulty(tmp_path / "manifest", change))
    assert "\n" not in str(raised.value)


def test_a_fold_without_a_name(iemocap: Path, tmp_path: Path) -> None:
    nameless = [replace(recording, fold=" ") for recording in read_corpus(iemocap)]
    write_manifest(tmp_path / "manifest", nameless)
    with pytest.raises(InputError, match="Ses01F_impro01: its fold has no name"):
        read_corpus(tmp_path / "manifest")


def test_turns_that_came_back_from_traffic_may_overlap(iemocap: Path, tmp_path: Path) -> None:
    back = [replace(recording, fold=FEEDBACK) for recording in read_corpus(iemocap)]
    write_manifest(tmp_path / "manifest", back)
    folder = faulty(tmp_path / "manifest", lambda e: e[2].update(start_time=8.0))
    assert {recording.fold for recording in read_corpus(folder)} == {FEEDBACK}


def test_an_utterance_named_in_two_references(iemocap: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest", read_corpus(iemocap))
    folder = faulty(
        tmp_path / "manifest", lambda e: e[0].update(utterance_id="Ses02M_script01_1b_M000")
    )
    with pytest.raises(InputError, match=r"_1b\.json: .*_M000 is named twice, also in .*impro01\."):
        read_corpus(folder)


def test_labels_that_are_not_ours_are_told(iemocap: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest", read_corpus(iemocap))
    folder = faulty(tmp_path / "manifest", lambda e: [u.update(emotion="Neutral") for u in e])
    first, *others = check_corpus(folder).findings
    assert first == "no utterance is neutral; labels that are not scored: Neutral, frustrated"
    # IEMOCAP has utterances that are frustrated; Neutral is none of its names.
    assert [line.split("'")[1] for line in others] == ["Neutral"]
    assert "(is neutral meant?)" in others[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_sound_that_is_not_numbers_is_named_with_the_time(iemocap: Path, bad: float) -> None:
    path = iemocap / "Session1/dialog/wav/Ses01F_impro01.wav"
    sound, rate = soundfile.read(path, dtype="float32")
    sound[rate * 9 // 2, 1] = bad  # on the second actor's side
    soundfile.write(path, sound, rate, subtype="FLOAT")
    with pytest.raises(InputError, match=r"recording Ses01F_impro01: .* the first at 4\.500 s"):
        check_corpus(iemocap)


def test_a_voice_that_says_two_things_in_iemocap_is_told(iemocap: Path, edit: Edit) -> None:
    assert check_corpus(iemocap).findings == ()
    edit("EmoEvaluation", "[10.0100 - 11.3925]", "[8.0000 - 11.3925]")
    (finding,) = check_corpus(iemocap).findings
    assert finding.startswith(
        "Ses01F_impro01: Ses01_F begins utterance Ses01F_impro01_F001 at 8.00"
    )


def test_component(iemocap: Path, tmp_path: Path) -> None:
    from kfp import dsl

    from components.corpus.component import corpus, corpus_digest

    manifest = dsl.Dataset(uri=str(tmp_path / "out" / "manifest"))
    report = dsl.Artifact(uri=str(tmp_path / "out" / "report"))
    digest = corpus_digest.python_func(folder=str(iemocap))
    corpus.python_func(folder=str(iemocap), digest=digest, manifest=manifest, report=report)
    recordings = read_manifest(Path(manifest.path))
    assert recordings == read_corpus(iemocap)
    checked = check_corpus(iemocap)
    assert manifest.metadata["digest"] == digest == checked.digest
    # What grows with the corpus is no metadata: every later step gets that as an argument.
    assert manifest.metadata["speakers"] == len(checked.speakers)
    assert all(isinstance(value, (int, str)) for value in manifest.metadata.values())
    told = json.loads(Path(report.path).read_text())
    assert (told["speakers"], told["folds"]) == (checked.speakers, checked.folds)
    with pytest.raises(InputError, match="was changed while the run went on"):
        corpus.python_func(folder=str(iemocap), digest="another", manifest=manifest, report=report)


def test_synthetic_speech_is_called_so(demo_corpus: Path, tmp_path: Path) -> None:
    assert check_corpus(demo_corpus).synthetic
    shutil.copytree(demo_corpus / "Session1", tmp_path / "Session1")
    assert not check_corpus(tmp_path).synthetic
