"""A corpus becomes a file of transcripts; what was done is not done again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.conversation import (
    TRANSCRIPTS,
    AsrSegment,
    Recording,
    Utterance,
    parse_words,
    read_documents,
)
from components.transcribe import transcribe_corpus

pytestmark = pytest.mark.models


def transcripts(path: Path) -> dict[str, Any]:
    """By recording, the content of WhisperX's JSON."""
    return {name: json.loads(text) for name, text in read_documents(path, TRANSCRIPTS)}


def words(path: Path, name: str) -> list[AsrSegment]:
    return parse_words(transcripts(path)[name], name)


def test_a_killed_run_goes_on_and_a_second_one_takes_all_from_the_cache(
    recordings: list[Recording],
    models_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one recording at a time
    profile = load_profile("tiny")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    out = tmp_path / "out"

    def killed(done: int, total: int) -> None:
        assert total == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcribe_corpus(recordings, out, profile, settings, killed)
    assert not out.exists()
    (first,) = (tmp_path / "cache").rglob("*.json")
    made = first.stat().st_mtime_ns

    steps: list[tuple[int, int]] = []
    count = transcribe_corpus(recordings, out, profile, settings, lambda *step: steps.append(step))
    assert (count, steps) == (2, [(1, 2), (2, 2)])
    assert first.stat().st_mtime_ns == made
    assert list(transcripts(out)) == ["talk0", "talk1"]
    assert transcripts(out)["talk1"]["language"] == "en"
    assert sum(len(part.words) for part in words(out, "talk1")) > 3

    # Marked, so that what comes from the cache can be told from what is done again.
    for cached in (tmp_path / "cache").rglob("*.json"):
        cached.write_text(json.dumps({"segments": [], "language": "xx"}))
    transcribe_corpus(recordings, tmp_path / "again", profile, settings)
    marked = [content["language"] for content in transcripts(tmp_path / "again").values()]
    assert marked == ["xx", "xx"]


def test_another_configuration_is_other_work(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    demo = load_profile("tiny")
    other = demo.model_copy(
        update={"transcribe": demo.transcribe.model_copy(update={"batch_size": 1})}
    )
    for number, profile in enumerate([demo, other, demo]):
        transcribe_corpus(recordings[:1], tmp_path / str(number), profile, settings)
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2


def test_a_recording_that_is_no_audio(models_home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_text("not audio")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    with pytest.raises(InputError, match=r"broken\.wav"):
        transcribe_corpus(
            [Recording("broken", broken, "fold", None, ())],
            tmp_path / "out",
            load_profile("tiny"),
            settings,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["broken.wav"]


def test_reference_boundaries_take_the_place_of_the_voice_activity_detector(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    def with_reference(*spans: tuple[float, float]) -> Recording:
        utterances = tuple(
            Utterance(str(n), "talk0", start, end, "A", None, "never read", "sad")
            for n, (start, end) in enumerate(spans)
        )
        return replace(recordings[0], utterances=utterances)

    profile = load_profile("tiny").model_copy(update={"segmentation": "reference"})
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    for number, given in enumerate(
        [with_reference((0.0, 2.0), (2.5, 5.0)), with_reference((0.0, 2.0))]
    ):
        transcribe_corpus([given], tmp_path / str(number), profile, settings)
    both = words(tmp_path / "0", "talk0")
    assert [round(segment.start) for segment in both] in ([0, 2], [0, 3])
    (first,) = words(tmp_path / "1", "talk0")
    assert [word.text for word in first.words] == [word.text for word in both[0].words]
    # pocketsphinx itself moves a border by a frame (10 ms) from one decoder to the next.
    for name in ("start", "end"):
        assert [getattr(word, name) for word in first.words] == pytest.approx(
            [getattr(word, name) for word in both[0].words], abs=0.02
        )
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2
    with pytest.raises(InputError, match="talk1: has no reference utterances"):
        transcribe_corpus(recordings[1:], tmp_path / "none", profile, settings)


def test_a_shard_is_a_part_of_the_corpus(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    transcribe_corpus(recordings, tmp_path / "out", load_profile("tiny"), settings, shard=(1, 2))
    assert list(transcripts(tmp_path / "out")) == ["talk1"]
