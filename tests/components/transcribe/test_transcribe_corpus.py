"""A corpus becomes a folder of transcripts; what was done is not done again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.base import InputError
from components.config import Settings, load_profile
from components.conversation import Recording, Utterance, read_words
from components.transcribe import transcribe_corpus

pytestmark = pytest.mark.models


def test_a_killed_run_goes_on_and_a_second_one_takes_all_from_the_cache(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    profile = load_profile("demo")
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    out = tmp_path / "out"

    def killed(done: int, total: int) -> None:
        assert total == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcribe_corpus(recordings, out, profile, settings, killed)
    assert [path.name for path in out.iterdir()] == ["talk0.json"]
    first = (out / "talk0.json").stat().st_mtime_ns

    steps: list[tuple[int, int]] = []
    transcribe_corpus(recordings, out, profile, settings, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    assert (out / "talk0.json").stat().st_mtime_ns == first
    assert {path.name for path in out.iterdir()} == {"talk0.json", "talk1.json"}
    assert json.loads((out / "talk1.json").read_text())["language"] == "en"
    assert sum(len(part.words) for part in read_words(out / "talk1.json")) > 3

    # Marked, so that what comes from the cache can be told from what is done again.
    for cached in (tmp_path / "cache").rglob("*.json"):
        cached.write_text(json.dumps({"segments": [], "language": "xx"}))
    transcribe_corpus(recordings, tmp_path / "again", profile, settings)
    marked = [json.loads(p.read_text())["language"] for p in (tmp_path / "again").iterdir()]
    assert marked == ["xx", "xx"]


def test_another_configuration_is_other_work(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    demo = load_profile("demo")
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
            load_profile("demo"),
            settings,
        )
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "cache").exists()


def test_reference_boundaries_take_the_place_of_the_voice_activity_detector(
    recordings: list[Recording], models_home: Path, tmp_path: Path
) -> None:
    def with_reference(*spans: tuple[float, float]) -> Recording:
        utterances = tuple(
            Utterance(str(n), "talk0", start, end, "A", None, "never read", "sad")
            for n, (start, end) in enumerate(spans)
        )
        return replace(recordings[0], utterances=utterances)

    profile = load_profile("demo").model_copy(update={"segmentation": "reference"})
    settings = Settings(models=models_home, cache=tmp_path / "cache")
    for number, given in enumerate(
        [with_reference((0.0, 2.0), (2.5, 5.0)), with_reference((0.0, 2.0))]
    ):
        transcribe_corpus([given], tmp_path / str(number), profile, settings)
    both = read_words(tmp_path / "0" / "talk0.json")
    assert [round(segment.start) for segment in both] in ([0, 2], [0, 3])
    (first,) = read_words(tmp_path / "1" / "talk0.json")
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
    transcribe_corpus(recordings, tmp_path / "out", load_profile("demo"), settings, shard=(1, 2))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk1.json"]
