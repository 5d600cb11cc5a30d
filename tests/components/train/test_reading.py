"""Turns are read while a model is fitted, by processes of their own: the same, and all of them."""

import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.utils.data import get_worker_info

from components.base import InputError, Unavailable, located, scratch
from components.config import Profile, Settings
from components.conversation import SAMPLE_RATE, Recording, read_audio
from components.fusion import clip_windows
from components.fusion.tokens import pretrained_tokenizer
from components.train import TrainResult, train
from components.train.data import Row, Sound, read_rows
from components.train.windows import SoundWindows
from tests.components.base.objects import Store, object_store
from tests.sounds import beeps, packed, written

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]
LIMITS = (6_400, 16)


@pytest.fixture(scope="module")
def fine_tuned(
    corpus: Corpus, make_profile: Make, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A training that nothing disturbs, which reads everything itself."""
    home = tmp_path_factory.mktemp("fine-tuned")
    settings = Settings(home=home, models=tiny_models, readers=0)
    return train(*corpus, home / "model", profile_of(make_profile), settings)


@pytest.fixture
def settings(tmp_path: Path, tiny_models: Path) -> Settings:
    return Settings(home=tmp_path / "home", models=tiny_models, checkpoint_seconds=0, readers=2)


@pytest.fixture
def own(corpus: Corpus, tmp_path: Path) -> Corpus:
    """The corpus with sound of its own."""
    recordings = []
    for recording in corpus[1]:
        path = tmp_path / f"{recording.name}.wav"
        path.write_bytes(Path(str(recording.audio)).read_bytes())
        recordings.append(Recording(recording.name, path, recording.fold, False, ()))
    return corpus[0], recordings


@pytest.fixture
def resumed_from(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The checkpoints that trainings went on from since it was last asked."""
    caplog.set_level(logging.INFO, "components.train.loop")

    def told() -> list[str]:
        lines = [r.getMessage() for r in caplog.records if "goes on from" in r.getMessage()]
        caplog.clear()
        return lines

    return told


def profile_of(make_profile: Make) -> Profile:
    return make_profile(freeze_encoders=False, epochs=3, augment=0.5, accumulate=2)


def test_windows_are_those_of_turns_that_were_read_before(
    corpus: Corpus, tiny_models: Path
) -> None:
    rows = read_rows(corpus[0])
    sound = Sound(corpus[1], rows)
    tokenizer = pretrained_tokenizer(str(tiny_models / "tiny-text"))
    windows = SoundWindows(rows, sound, tokenizer, LIMITS)
    read = clip_windows([sound.clip(row) for row in rows], tokenizer, *LIMITS)
    read.sort(key=lambda window: len(window.audio))
    assert len(windows) == len(read) > len(rows)
    for index, expected in enumerate(read):
        item = windows[index]
        assert np.array_equal(item["acoustic"], expected.audio)
        assert item["text"].tolist() == expected.input_ids
        assert (item["turn"], item["weight"]) == (expected.clip, expected.weight)
        assert windows.columns.lengths[index] == len(expected.audio)


def test_a_turn_that_its_recording_cuts_short(tmp_path: Path, tiny_models: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8_000, 0.1, "f4"), SAMPLE_RATE)
    row = Row("a", "f", 0.25, 0.75, "no", 0, None)
    sound = Sound([Recording("a", tmp_path / "a.wav", "f", False, ())], [row])
    tokenizer = pretrained_tokenizer(str(tiny_models / "tiny-text"))
    assert len(SoundWindows([row], sound, tokenizer, LIMITS)) == 2
    pieces = [len(w["acoustic"]) for w in SoundWindows([row], sound, tokenizer, LIMITS)]
    assert pieces == [2_000, 2_000]


@pytest.mark.parametrize("suffix", ["m4a", "webm", "mp3", "opus", "flac", "wav"])
def test_a_turn_late_in_a_packed_recording_is_where_it_should_be(
    tmp_path: Path, suffix: str
) -> None:
    talk = beeps(30)
    if suffix == "wav":
        soundfile.write(tmp_path / "a.wav", talk, SAMPLE_RATE)
    else:
        written(tmp_path, f"a.{suffix}", packed(suffix, [talk]))
    row = Row("a", "f", 20.0, 20.5, "no", 0, None)
    sound = Sound([Recording("a", tmp_path / f"a.{suffix}", "f", False, ())], [row])
    heard, _ = sound.clip(row)
    spectrum = np.abs(np.fft.rfft(heard[1_000:7_000]))
    pitch = np.argmax(spectrum) * SAMPLE_RATE / 6_000
    assert pitch == pytest.approx(300 + 100 * 20, abs=10)


def test_processes_that_read_change_nothing(
    fine_tuned: TrainResult, corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    again = train(*corpus, tmp_path / "model", profile_of(make_profile), settings)
    assert again.history == fine_tuned.history
    assert again.digest == fine_tuned.digest


def test_a_recording_that_changes_is_refused_and_put_back_goes_on(
    own: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    resumed_from: Callable[[], list[str]],
) -> None:
    profile = profile_of(make_profile)
    through = train(*own, tmp_path / "through", profile, settings)
    path = own[1][0].audio
    assert isinstance(path, Path)
    before, times = path.read_bytes(), path.stat()

    def change(done: int, total: int) -> None:
        if done == total - 2:
            path.write_bytes(before[:-2])

    with pytest.raises(InputError) as told:
        train(*own, tmp_path / "model", profile, settings, change)
    assert re.fullmatch(
        rf"{path}: was changed or deleted while it is trained on; .*", str(told.value)
    )
    assert told.value.exit_status == 2
    assert not (tmp_path / "model").exists()
    # Another corpus is another training, which does not go on from this one's checkpoint.
    train(*own, tmp_path / "other", profile, settings)
    assert not resumed_from()
    path.write_bytes(before)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    resumed = train(*own, tmp_path / "model", profile, settings)
    assert len(resumed_from()) == 1
    assert resumed.digest == through.digest


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_reader_that_is_killed_is_a_line_and_the_training_goes_on_from_there(
    fine_tuned: TrainResult,
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resumed_from: Callable[[], list[str]],
) -> None:
    profile, clip, mark = profile_of(make_profile), Sound.clip, tmp_path / "kill"

    def deadly(self: Sound, row: Row) -> object:
        if get_worker_info() is not None and mark.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return clip(self, row)

    monkeypatch.setattr(Sound, "clip", deadly)

    def kill(done: int, total: int) -> None:
        if done == total - 2:
            mark.touch()

    with pytest.raises(Unavailable) as told:
        train(*corpus, tmp_path / "model", profile, settings, kill)
    assert str(told.value).startswith("a process that reads the corpus for the training was killed")
    assert "\n" not in str(told.value) and told.value.exit_status == 2
    assert not (tmp_path / "model").exists()
    mark.unlink()
    resumed = train(*corpus, tmp_path / "model", profile, settings)
    assert len(resumed_from()) == 1
    assert resumed.digest == fine_tuned.digest


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        scratch._states.clear()
        yield made


def test_from_an_object_store_killed_in_the_middle(
    store: Store,
    fine_tuned: TrainResult,
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    resumed_from: Callable[[], list[str]],
) -> None:
    """The same sound as URLs: the same numbers, also of a run that a fault of the store ended."""
    folder = tmp_path / "sound"
    folder.mkdir()
    for recording in corpus[1]:
        (folder / f"{recording.name}.wav").write_bytes(Path(str(recording.audio)).read_bytes())
    url = located(store.upload(folder, "sound"))
    there = [
        Recording(r.name, url / f"{r.name}.wav", r.fold, r.scripted, (), r.columns)
        for r in corpus[1]
    ]

    def kill(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    profile = profile_of(make_profile)
    with pytest.raises(KeyboardInterrupt):
        train(corpus[0], there, tmp_path / "model", profile, settings, kill)
    assert not (tmp_path / "model").exists()
    resumed = train(corpus[0], there, tmp_path / "model", profile, settings)
    assert len(resumed_from()) == 1
    assert resumed.digest == fine_tuned.digest


def test_what_fits_is_decoded_once_and_the_rest_each_time(
    own: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large corpus memory holds no more; a file that changes is refused all the same."""
    rows, decoded = read_rows(own[0]), list[tuple[float, float]]()

    def counted(path: Path, start: float, end: float) -> np.ndarray:
        decoded.append((start, end))
        return read_audio(path, start, end)

    monkeypatch.setattr("components.train.data.read_audio", counted)
    first = Sound(own[1], rows)
    first.note(rows)
    clips = [first.clip(row)[0] for row in rows]
    monkeypatch.setattr("components.train.data.HELD", sum(clip.nbytes for clip in clips[:3]))
    sound = Sound(own[1], rows)
    for times in (len(rows), len(rows) - 3):
        decoded.clear()
        again = [sound.clip(row)[0] for row in rows]
        assert len(decoded) == times
        assert all(map(np.array_equal, again, clips))
    path = Path(str(own[1][0].audio))
    path.write_bytes(path.read_bytes()[:-100])
    changed = next(row for row in rows if row.recording == own[1][0].name)
    with pytest.raises(InputError, match="was changed or deleted"):
        first.clip(changed)
