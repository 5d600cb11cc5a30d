"""The report on a corpus, the manifest that comes of it, and the pipeline's component."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.conversation import InputError, read_manifest, write_manifest
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


def test_component(iemocap: Path, tmp_path: Path) -> None:
    from kfp import dsl

    from components.corpus.component import corpus

    manifest = dsl.Dataset(uri=str(tmp_path / "out" / "manifest"))
    corpus.python_func(folder=str(iemocap), manifest=manifest)
    recordings = read_manifest(Path(manifest.path))
    assert recordings == read_corpus(iemocap)
    assert manifest.metadata["digest"] == check_corpus(iemocap).digest


def test_synthetic_speech_is_called_so(demo_corpus: Path, tmp_path: Path) -> None:
    assert check_corpus(demo_corpus).synthetic
    shutil.copytree(demo_corpus / "Session1", tmp_path / "Session1")
    assert not check_corpus(tmp_path).synthetic
