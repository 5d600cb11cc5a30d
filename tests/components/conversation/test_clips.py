"""A manifest whose lines hold their utterances themselves."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.conversation import (
    Recording,
    Utterance,
    read_manifest,
    stated_duration,
    strictest_first,
    write_clips,
    write_manifest,
)
from tests.sounds import CODECS, beeps, packed


def clip(folder: Path, name: str, **columns: str) -> Recording:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{name}.wav", np.ones(1600) / 4, 16_000)
    said = Utterance(name, name, 0.0, 0.1, "Ann", "F", "Guten Tag. „Ja“\u2028", "happy")
    return Recording(name, folder / f"{name}.wav", "one", True, (said,), tuple(columns.items()))


def test_reads_what_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "set"
    recordings = [clip(folder, "a", licence="CC BY 4.0"), clip(folder, "b", set="mine")]
    assert write_clips(tmp_path / "data" / "new" / "manifest.jsonl", recordings) == 2
    assert read_manifest(tmp_path / "data" / "new") == recordings
    rows = (tmp_path / "data" / "new" / "manifest.jsonl").read_text("utf-8").split("\n")
    assert json.loads(rows[0])["audio"] == "../set/a.wav"
    assert [path.name for path in (tmp_path / "data" / "new").iterdir()] == ["manifest.jsonl"]


def test_paths_hold_when_both_are_moved(tmp_path: Path) -> None:
    recordings = [clip(tmp_path / "data" / "set", "a")]
    write_clips(tmp_path / "data" / "set" / "manifest.jsonl", recordings)
    write_clips(tmp_path / "data" / "beside" / "manifest.jsonl", recordings)
    write_clips(tmp_path / "elsewhere" / "deep" / "manifest.jsonl", recordings)
    row = (tmp_path / "elsewhere" / "deep" / "manifest.jsonl").read_text("utf-8")
    assert json.loads(row)["audio"] == str(tmp_path / "data" / "set" / "a.wav")
    shutil.move(tmp_path / "data", tmp_path / "moved")
    for name in ("set", "beside"):
        (read,) = read_manifest(tmp_path / "moved" / name)
        assert read.audio == tmp_path / "moved" / "set" / "a.wav"
    with pytest.raises(InputError, match="no such audio file"):
        read_manifest(tmp_path / "elsewhere" / "deep")


def test_a_pipeline_packs_them(tmp_path: Path) -> None:
    recordings = [clip(tmp_path / "set", "a", set="mine"), clip(tmp_path / "set", "b", set="mine")]
    write_clips(tmp_path / "new" / "manifest.jsonl", recordings)
    write_manifest(tmp_path / "step", read_manifest(tmp_path / "new"), packed=True)
    assert read_manifest(tmp_path / "step") == recordings


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    def recordings():  # type: ignore[no-untyped-def]
        yield clip(tmp_path / "set", "a")
        raise InputError("b.wav: the file is empty")

    with pytest.raises(InputError):
        write_clips(tmp_path / "new.jsonl", recordings())
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


ENTRY = {"start_time": 0.0, "end_time": 0.1, "speaker": "A", "words": "no", "emotion": "sad"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"utterances": None}, "line 2: lacks 'reference' and 'utterances': it needs one of them"),
        ({"reference": "a.json"}, "line 2: has both 'reference' and 'utterances'"),
        ({"utterances": [ENTRY | {"speaker": None}]}, "line 2: utterance 1: 'speaker' is None"),
        ({"utterances": [ENTRY, ENTRY | {"end_time": -1}]}, "line 2: utterance 2"),
        ({"utterances": [ENTRY | {"utterance_id": "a_0001"}]}, "a_0001 is named twice, also in"),
        ({"utterances": [ENTRY | {"session_id": "x"}]}, "utterance 1: is of x, not of b"),
        ({"licence": " "}, "'licence' is ' '; where it is not known, write “unknown”"),
        ({"language": 7}, "'language' is 7; where it is not known"),
    ],
)
def test_faults(tmp_path: Path, change: dict[str, object], says: str) -> None:
    clip(tmp_path, "a")
    rows = [
        {"recording": name, "audio": "a.wav", "fold": "one", "utterances": [ENTRY]} for name in "ab"
    ]
    rows[1] |= change
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path)
    assert says in str(caught.value)


def test_an_utterance_without_a_name_is_named_by_its_recording(tmp_path: Path) -> None:
    recording = clip(tmp_path, "a")
    write_clips(tmp_path / "m.jsonl", [recording])
    text = (tmp_path / "m.jsonl").read_text("utf-8").replace(', "utterance_id": "a"', "")
    (tmp_path / "m.jsonl").write_text(text, "utf-8")
    (read,) = read_manifest(tmp_path / "m.jsonl")
    assert read.utterances == (replace(recording.utterances[0], id="a_0001"),)


@pytest.mark.parametrize("suffix", ["wav", *CODECS])
def test_headers_state_the_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    if suffix == "wav":
        soundfile.write(path, beeps(2.3), 16_000)
    else:
        path.write_bytes(packed(suffix, [beeps(2.3)]))
    assert stated_duration(path) == pytest.approx(2.3, abs=0.1)


def test_the_strictest_licence_comes_first() -> None:
    licences = [
        "unknown", "research only", "CC BY-NC-ND 4.0", "CC BY-NC-SA 4.0", "CC BY-NC 4.0",
        "CC BY-ND 4.0", "CC BY-SA 4.0", "CC BY 4.0", "CC0 1.0",
    ]  # fmt: skip
    assert strictest_first(reversed(licences * 2)) == licences
    assert strictest_first(["cc-by-nc-4.0", "CC-BY-4.0", "MIT"]) == [
        "cc-by-nc-4.0",
        "CC-BY-4.0",
        "MIT",
    ]
