"""`moodline batch`: how many speak, or that each channel is a speaker, on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import Profile
from pipelines.cli import lifecycle
from pipelines.cli.main import run
from tests.sides import Sides, sides

Batch = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def talk(demo_corpus: Path) -> Sides:
    return sides(demo_corpus)


@pytest.fixture
def batch(
    talk: Sides,
    tmp_path: Path,
    models_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Batch:
    """Runs the command on a folder of two recordings, of one and of two channels, up to the run:
    its exit status and its lines of errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODLINE_MODELS", str(models_home))
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "one.wav").write_bytes(talk.file(talk.sound[:1]))
    (tmp_path / "calls" / "two.wav").write_bytes(talk.file())

    def command(*options: str) -> tuple[int, list[str]]:
        capfd.readouterr()
        status = run(["batch", "calls", "-o", "turns", *options])
        assert not (tmp_path / "turns").exists()
        return status, capfd.readouterr().err.splitlines()

    return command


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Profile]:
    """The profiles of the runs that would have begun."""
    profiles: list[Profile] = []

    def begin(_: str, profile: Profile, *__: object, **___: object) -> None:
        profiles.append(profile)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "run_pipeline", begin)
    return profiles


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--channels", "--num-speakers", "2"], "channels: each is a speaker"),
        (["--channels", "--max-speakers", "2"], "channels: each is a speaker"),
        (["--set", "diarize.pipeline=channels", "--min-speakers", "2"], "channels: each is"),
        (["--min-speakers", "3", "--max-speakers", "2"], "min_speakers 3 is above max_speakers 2"),
        (["--num-speakers", "2", "--min-speakers", "2"], "num_speakers is exact"),
        (["--min-speakers", "0"], "--min-speakers"),
        (["--set", "diarize.num_speakers=3"], "write --num-speakers"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(
    batch: Batch, begun: list[Profile], options: list[str], line: str
) -> None:
    status, told = batch(*options, *([] if "--set" in options else ["--profile", "tiny"]))
    assert (status, len(told), begun) == (2, 1, [])
    assert line in told[0]


@pytest.mark.models
def test_how_many_speak_goes_into_the_run(batch: Batch, begun: list[Profile]) -> None:
    """The profile's own number is its corpus', and not these recordings'."""
    for options, counts in (
        ([], (None, None, None)),
        (["--num-speakers", "3"], (3, None, None)),
        (["--min-speakers", "2", "--max-speakers", "4"], (None, 2, 4)),
        (["--max-speakers", "4"], (None, None, 4)),
    ):
        status, told = batch(*options, "--profile", "tiny")
        asked = begun.pop().diarize
        assert (asked.num_speakers, asked.min_speakers, asked.max_speakers) == counts
        assert (status, begun) == (130, [])
        assert not any("left out" in one for one in told)


@pytest.mark.models
def test_a_recording_of_one_channel_is_left_out_where_each_is_a_speaker(
    batch: Batch, begun: list[Profile], tmp_path: Path
) -> None:
    status, told = batch("--channels", "--profile", "tiny")
    (profile,) = begun
    assert (status, profile.diarize.pipeline, profile.by_channel) == (130, "channels", True)
    assert [one for one in told if "left out" in one] == [
        "left out: calls/one.wav: has one channel; speakers are told apart by channels only where"
        " each has one"
    ]
    (tmp_path / "calls" / "two.wav").unlink()
    status, told = batch("--channels", "--profile", "tiny")
    assert (status, told[-1]) == (2, "moodline: calls: holds no recording that can be read")
