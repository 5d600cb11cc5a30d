"""A folder that is not a set's, or not all of it: one clear line, and nothing is written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import InputError
from components.corpus import check_corpus, read_corpus
from components.corpus.sets import SETS, import_set
from tests.components.corpus.sets.trees import Trees

REAL = ("meld", "nemo", "msp-podcast", "emobox")
"""Sets whose tables name every file."""


@pytest.mark.parametrize("name", SETS)
def test_a_folder_of_something_else(trees: Trees, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    trees.add(other, "holiday.wav")
    with pytest.raises(InputError, match=f"other: holds no clip of {SETS[name].title}"):
        import_set(name, other, tmp_path / "out", partial=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(set(SETS) - set(REAL)))
def test_half_the_files(trees: Trees, tmp_path: Path, name: str) -> None:
    folder = trees.build(name)
    expected = r"lacks [\d,]+ of .*'s [\d,]+ files.*complete the folder.*--partial"
    with pytest.raises(InputError, match=expected):
        import_set(name, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", REAL)
def test_half_of_the_files_that_a_table_names(trees: Trees, tmp_path: Path, name: str) -> None:
    folder = trees.build(name)
    import_set(name, folder, tmp_path / "whole")
    recordings = read_corpus(tmp_path / "whole")
    gone = recordings[0].audio
    assert isinstance(gone, Path)
    gone.unlink()
    with pytest.raises(InputError, match=f"lacks 1 of .* {len(recordings)} files, .*{gone.name}"):
        import_set(name, folder, tmp_path / "out")
    done = import_set(name, folder, tmp_path / "out", partial=True)
    assert done.recordings == len(recordings) - 1
    assert any(gone.name in line for line in done.notes)


def test_what_is_missing_is_named(trees: Trees, tmp_path: Path) -> None:
    folder = trees.savee()
    with pytest.raises(InputError, match="lacks 477 of SAVEE's 480 files, DC_a02 for one"):
        import_set("savee", folder, tmp_path / "out")
    (trees.meld() / "dev_sent_emo.csv").unlink()
    with pytest.raises(InputError, match=r"dev_sent_emo.csv for one"):
        import_set("meld", trees.home / "MELD.Raw", tmp_path / "out")


def test_a_file_that_is_named_otherwise(trees: Trees, tmp_path: Path) -> None:
    folder = trees.nemo()
    trees.add(folder, "wav/03a01Xa.wav", "wav/03a01Fa.wav")
    with pytest.raises(InputError, match=r"\S+\.wav: is not named as EMO-DB's clips are"):
        import_set("emo-db", folder, tmp_path / "out")
    done = import_set("emo-db", folder, tmp_path / "out", partial=True)
    assert done.recordings == 1
    assert "and 2 more" in done.notes[0]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("no sound at all")


def _short(path: Path) -> None:
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 100), 16_000)


def _silent(path: Path) -> None:
    soundfile.write(path, np.zeros(16_000), 16_000)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_empty, "the file is empty"),
        (_text, "is not audio that can be read"),
        (_short, "holds no speech: it lasts 0.006 s"),
        (_silent, "holds no speech: no sample is louder than −60 dB"),
    ],
)
def test_a_clip_without_speech(
    trees: Trees, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    folder = trees.nemo()
    clip = folder / "samples" / "EB0_anger_1.wav"
    clip.unlink()
    spoil(clip)
    with pytest.raises(InputError, match=f"EB0_anger_1.wav: .*{says}.*--partial") as caught:
        import_set("nemo", folder, tmp_path / "out", listen=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    if spoil is _silent:  # what the import did not listen to, the check does
        import_set("nemo", folder, tmp_path / "quick")
        assert f"{clip}: {says}" in check_corpus(tmp_path / "quick").findings
    done = import_set("nemo", folder, tmp_path / "out", partial=True, listen=True)
    assert done.recordings == 1
    assert done.notes[-1].startswith(f"left out: {clip}")


def test_two_clips_of_one_name(trees: Trees, tmp_path: Path) -> None:
    folder = trees.emo_db()
    soundfile.write(folder / "03a01Fa.wav", np.ones(9000) / 2, 16_000)
    with pytest.raises(InputError, match=r"03a01Fa.wav: is another file than .*keep one of them"):
        import_set("emo-db", folder, tmp_path / "out", partial=True)


def test_what_is_there_already_stays(trees: Trees, tmp_path: Path) -> None:
    folder = trees.nemo()
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="out: is there already; name a new folder"):
        import_set("nemo", folder, tmp_path / "out")
    with pytest.raises(InputError, match="iemocap: no such set; there are ravdess, crema-d"):
        import_set("iemocap", folder, tmp_path / "new")
    with pytest.raises(InputError, match="nowhere: no such folder"):
        import_set("nemo", tmp_path / "nowhere", tmp_path / "new")


def test_tables_with_faults(trees: Trees, tmp_path: Path) -> None:
    folder = trees.nemo()
    table = folder / "data.tsv"
    table.write_text(table.read_text("utf-8").replace("speaker_id", "who"), "utf-8")
    with pytest.raises(InputError, match=r"data.tsv: lacks the column speaker_id"):
        import_set("nemo", folder, tmp_path / "out")
    folder = trees.msp_podcast()
    table = folder / "Labels" / "labels_consensus.csv"
    table.write_text(table.read_text().replace(",A,", ",Q,"))
    with pytest.raises(InputError, match=r"0001_0001.wav: has the label 'Q', none of the set's"):
        import_set("msp-podcast", folder, tmp_path / "out")
    folder = trees.emobox()
    test = folder / "data/ravdess/fold_2/ravdess_test_fold_2.jsonl"
    test.write_text((folder / "data/ravdess/fold_1/ravdess_test_fold_1.jsonl").read_text())
    with pytest.raises(InputError, match="is tested in fold_1, too"):
        import_set("emobox", folder, tmp_path / "out")
