"""The whole of IEMOCAP, as large as it is: its files by their number, its labels by their count."""

import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.corpus import check_corpus

# How often each label was given: those of the standard set, and the rest of the 10,039 utterances.
LABELS = {
    "ang": 1103, "hap": 595, "exc": 1041, "neu": 1708, "sad": 1084,
    "fru": 1849, "sur": 107, "fea": 40, "dis": 2, "oth": 3, "xxx": 2507,
}  # fmt: skip
DIALOGUES = (28, 30, 32, 30, 31)  # of each session


def labels() -> Iterator[str]:
    """Every label so many times as it was given, well mixed."""
    left = dict(LABELS)
    for label in cycle(LABELS):
        if left[label]:
            left[label] -= 1
            yield label
        elif not any(left.values()):
            return


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """151 dialogues of 10,039 utterances; each lasts 1 ms, in tiny sound."""
    root = tmp_path_factory.mktemp("IEMOCAP_full_release")
    given, total, number = labels(), sum(LABELS.values()), 0
    for session, count in enumerate(DIALOGUES, start=1):
        dialog = root / f"Session{session}" / "dialog"
        for kind in ("wav", "transcriptions", "EmoEvaluation"):
            (dialog / kind).mkdir(parents=True)
        for index in range(count):
            scene = "impro" if index % 2 else "script"
            name = f"Ses0{session}{'FM'[index // 2 % 2]}_{scene}{index:02d}"
            turns = total // 151 + (number < total % 151)
            number += 1
            lines, texts = [], []
            for turn in range(turns):
                start = turn * 0.001
                one = f"{name}_{'FM'[turn % 2]}{turn:03d}"
                lines.append(
                    f"[{start:.4f} - {start + 0.001:.4f}]\t{one}\t{next(given)}\t[3, 3, 3]\n"
                )
                lines.append("C-E2:\tNeutral;\t()\nA-F1:\tval 3; act 3; dom  3;\t(\xe9)\n\n")
                texts.append(f"{one} [{start:08.4f}-{start + 0.001:08.4f}]: Yes.\n")
            (dialog / "EmoEvaluation" / f"{name}.txt").write_text("".join(lines), "latin-1")
            (dialog / "transcriptions" / f"{name}.txt").write_text("".join(texts), "latin-1")
            sound = np.zeros((turns, 2), dtype=np.float32)
            soundfile.write(dialog / "wav" / f"{name}.wav", sound, 1000)
    return root


def test_the_standard_set(whole: Path) -> None:
    report = check_corpus(whole)
    assert (report.recordings, report.utterances) == (151, 10039)
    four = {name: report.emotions[name] for name in ("angry", "happy", "neutral", "sad")}
    assert four == {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
    assert sum(four.values()) == 5531
    assert report.findings == ()


def test_a_count_that_differs_is_told_by_class_and_number(whole: Path) -> None:
    path = min(whole.rglob("EmoEvaluation/*.txt"))
    before = path.read_text("latin-1")
    try:
        path.write_text(re.sub(r"\tang\t", "\tsad\t", before, count=2), "latin-1")
        assert check_corpus(whole).findings == (
            "IEMOCAP has 1,103 angry utterances, this copy 1,101: 2 fewer",
            "IEMOCAP has 1,084 sad utterances, this copy 1,086: 2 more",
        )
    finally:
        path.write_text(before, "latin-1")
    # Where a session is missing it is not the standard set, and nothing is said of it.
    aside = whole.parent / "Session5"
    (whole / "Session5").rename(aside)
    try:
        assert check_corpus(whole).findings == ()
    finally:
        aside.rename(whole / "Session5")
