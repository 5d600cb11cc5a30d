"""A corpus becomes a folder of RTTM; what was done is not done again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import SAMPLE_RATE, Recording, SpeakerSegment, read_rttm
from components.diarize import diarize_corpus
from components.profile import Settings, load_profile

pytestmark = pytest.mark.models


def test_a_killed_run_goes_on_and_a_second_one_takes_all_from_the_cache(
    dialogue: tuple[np.ndarray, list[SpeakerSegment]], models_home: Path, tmp_path: Path
) -> None:
    recordings = []
    for number in range(2):
        path = tmp_path / f"talk{number}.wav"
        part = dialogue[0][number * 8 * SAMPLE_RATE : (number + 1) * 8 * SAMPLE_RATE]
        soundfile.write(path, part, SAMPLE_RATE)
        recordings.append(Recording(path.stem, path, "fold", None, ()))
    profile = load_profile("demo")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    out = tmp_path / "out"

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diarize_corpus(recordings, out, profile, settings, killed)
    assert [path.name for path in out.iterdir()] == ["talk0.rttm"]
    first = (out / "talk0.rttm").stat().st_mtime_ns

    steps: list[tuple[int, int]] = []
    diarize_corpus(recordings, out, profile, settings, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    assert (out / "talk0.rttm").stat().st_mtime_ns == first
    assert list(read_rttm(out / "talk1.rttm")) == ["talk1"]
    assert {path.name for path in out.iterdir()} == {"talk0.rttm", "talk1.rttm"}

    # Marked, so that what comes from the cache can be told from what is done again.
    for cached in (tmp_path / "cache").rglob("*.rttm"):
        cached.write_text("; marked\n")
    diarize_corpus(recordings, tmp_path / "again", profile, settings)
    assert {p.read_text() for p in (tmp_path / "again").iterdir()} == {"; marked\n"}
