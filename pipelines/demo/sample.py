"""The real conversation of the demo: half a minute of a telephone call, from pyannote.audio."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.base import InputError
from components.conversation import SpeakerSegment, Turn, turns_from_rttm


def sample_conversation() -> tuple[Path, Path]:
    """The audio file that pyannote.audio ships, and its RTTM.

    Raises:
        InputError: this version of pyannote.audio ships none.
    """
    spec = importlib.util.find_spec("pyannote")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        sample = Path(folder) / "audio" / "sample"
        if (sample / "sample.wav").is_file() and (sample / "sample.rttm").is_file():
            return sample / "sample.wav", sample / "sample.rttm"
    raise InputError("pyannote.audio ships no sample conversation; run: make setup")


def sample_errors(
    turns: Sequence[Turn], speakers: Sequence[SpeakerSegment], rttm: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare the conversation with its RTTM and the STM beside it.

    Returns:
        The diarization errors at collar 0, and the cpWER's, each as `moodline score` gives them.
    """
    import meeteval

    from components.scoring import score

    stm = meeteval.io.STM.load(rttm.with_suffix(".stm")).to_seglst()
    reference = [
        Turn(
            s["session_id"], float(s["start_time"]), float(s["end_time"]), s["speaker"], s["words"]
        )
        for s in stm
    ]
    hypothesis = [Turn("sample", s.start, s.end, s.speaker, "") for s in speakers]
    der = score(turns_from_rttm(rttm), hypothesis, "collar0").to_json()["der"]
    cpwer = score(reference, list(turns), "collar0").to_json()["cpwer"]
    return der, cpwer
