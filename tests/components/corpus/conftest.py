"""A small corpus by hand, with the oddities that IEMOCAP's files really have."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

EVALUATION = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-F1:\tNeutral;\t(curious)
C-E4:\tOther;\t(fed up; close to “anger”)
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 2; act 3; dom  3;\t(mildly aggravated but staying polite, attitude)

[10.0100 - 11.3925]\tSes01F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral; Frustration;\t()

[8.0000 - 9.5000]\tSes01F_impro01_M000\texc\t[4.5000, 4.0000, 3.5000]
C-E2:\tExcited;\t()

"""
TRANSCRIPT = """\
Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [008.0000-009.5000]: At the caf\xe9,  yeah!
M: [LAUGHTER]
Ses01F_impro01_MXX0 [009.6000-009.9000]: Mmhmm.
Ses01F_impro01_F001 [010.0100-011.3925]: [BREATHING] Is there a problem?[LAUGHTER]
"""
SCRIPT_EVALUATION = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.5000 - 2.0000]\tSes02M_script01_1b_M000\tang\t[1.5000, 4.0000, 4.5000]

[2.2000 - 3.0000]\tSes02M_script01_1b_F000\tfru\t[2.0000, 3.0000, 3.0000]

[3.1000 - 3.9990]\tSes02M_script01_1b_F001\tsad\t[2.0000, 2.0000, 2.0000]

[4.0000 - 5.0000]\tSes02M_script01_1b_M001\thap\t[4.0000, 3.0000, 3.0000]
"""
SCRIPT_TRANSCRIPT = """\
Ses02M_script01_1b_M000 [000.5000-002.0000]: Go away!
Ses02M_script01_1b_F000 [002.2000-003.0000]: I won't.
Ses02M_script01_1b_F001 [003.1000-003.9990]: I am sorry.
Ses02M_script01_1b_M001 [004.0000-005.0000]: Well then.
"""


def write_sound(path: Path, seconds: float) -> None:
    """Write quiet stereo noise, as IEMOCAP's dialogues are stereo."""
    noise = np.random.default_rng(0).normal(0, 0.01, (round(seconds * 16000), 2))
    soundfile.write(path, noise.astype(np.float32), 16000)


def write_dialogue(
    session: Path, name: str, evaluation: str, transcript: str, seconds: float
) -> None:
    """Write a dialogue's three files into a session's folder."""
    for kind in ("wav", "transcriptions", "EmoEvaluation"):
        (session / "dialog" / kind).mkdir(parents=True, exist_ok=True)
    write_sound(session / "dialog" / "wav" / f"{name}.wav", seconds)
    texts = (("EmoEvaluation", evaluation), ("transcriptions", transcript))
    for kind, text in texts:
        data = text.replace("“", '"').replace("”", '"').encode("latin-1")
        (session / "dialog" / kind / f"{name}.txt").write_bytes(data)


@pytest.fixture
def iemocap(tmp_path: Path) -> Path:
    """Two sessions of one dialogue each."""
    root = tmp_path / "IEMOCAP_full_release"
    write_dialogue(root / "Session1", "Ses01F_impro01", EVALUATION, TRANSCRIPT, 12.0)
    # The second session's files have Windows line ends.
    write_dialogue(
        root / "Session2",
        "Ses02M_script01_1b",
        SCRIPT_EVALUATION.replace("\n", "\r\n"),
        SCRIPT_TRANSCRIPT.replace("\n", "\r\n"),
        4.9,
    )
    dialog = root / "Session1" / "dialog"
    for kind, suffix in (("wav", "wav"), ("transcriptions", "txt"), ("EmoEvaluation", "txt")):
        (dialog / kind / f"._Ses01F_impro01.{suffix}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    for rater, text in (("Categorical", "Ses01F_impro01_F000 :Neutral; ()\n"), ("Attribute", "x")):
        (dialog / "EmoEvaluation" / rater).mkdir()
        (dialog / "EmoEvaluation" / rater / "Ses01F_impro01_e2_cat.txt").write_text(text)
    (root / "Session1" / "sentences" / "wav").mkdir(parents=True)
    (root / "Documentation").mkdir()
    (root / "README.txt").write_text("IEMOCAP")
    return root


@pytest.fixture
def edit(iemocap: Path) -> Callable[[str, str, str], Path]:
    """Replace text in one of the first dialogue's files; gives the file."""

    def replace(kind: str, old: str, new: str) -> Path:
        path = iemocap / "Session1" / "dialog" / kind / "Ses01F_impro01.txt"
        data = path.read_bytes()
        assert old.encode("latin-1") in data
        path.write_bytes(data.replace(old.encode("latin-1"), new.encode("latin-1"), 1))
        return path

    return replace
