"""One file a run: written by many processes, followed by one, in the way of nobody."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from components.base import (
    EVENTS,
    DiskFull,
    Event,
    EventReader,
    Failure,
    InputError,
    Unavailable,
    report,
)


class NoAnswerError(Unavailable):
    """A rarer case, as other rooms have them."""


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EventReader:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS, str(path))
    return EventReader(path)


def test_events_are_read_once_each_and_a_step_keeps_its_error(reader: EventReader) -> None:
    assert reader.read() == []
    report(Event("train", "running", progress=(3, 9)))
    assert reader.read() == [Event("train", "running", progress=(3, 9))]
    error = Failure("InputError", "x.wav: is empty")
    report(Event("train", "running", error=error))
    report(Event("train", "failed", seconds=2.5, output=("a", "b")))
    report(Event("record", "running"))
    assert len(reader.read()) == 3
    assert reader.read() == []
    assert list(reader.steps) == ["train", "record"]
    assert reader.first("failed") == Event("train", "failed", 2.5, None, error, ("a", "b"))
    assert reader.first("running") == Event("record", "running")


def test_half_a_line_waits_for_its_end_and_a_torn_one_is_passed_over(reader: EventReader) -> None:
    reader.path.write_text('{"step": "align", "sta')
    assert reader.read() == []
    report(Event("train", "running"))  # the rest of the first line never came
    report(Event("train", "done"))
    assert reader.read() == [Event("train", "done")]


def test_without_a_file_or_with_a_wrong_one_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(EVENTS, raising=False)
    report(Event("train", "running"))
    monkeypatch.setenv(EVENTS, str(tmp_path / "nowhere" / "events.jsonl"))
    report(Event("train", "running"))
    assert not list(tmp_path.iterdir())


def test_many_processes_write_whole_lines(reader: EventReader) -> None:
    code = (
        "from components.base import Event, report\n"
        "for i in range(200): report(Event('train', 'running', progress=(i + 1, 200)))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert len(reader.read()) == 800


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("x"), InputError),
        (NoAnswerError("x"), Unavailable),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (RuntimeError("[Errno 28] No space left on device"), DiskFull),
    ],
)
def test_an_error_is_of_the_same_kind_in_another_process(
    error: Exception, kind: type[Exception]
) -> None:
    again = Failure.of(error).exception()
    assert type(again) is kind
    assert str(again) == str(error)


def test_a_fault_is_of_no_kind() -> None:
    assert Failure.of(ValueError("too\nloud")).exception() is None
    assert str(Failure.of(ValueError("too\nloud"))) == "ValueError: too"
    assert str(Failure.of(AssertionError())) == "AssertionError"


def test_a_step_s_process_reports_what_ends_it(reader: EventReader, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text("import sys\nraise KeyError(sys.argv[1:])\n")
    command = [sys.executable, "-m", "components.base.step", "label", "failing", "--corpus", "c"]
    done = subprocess.run(
        ["env", f"PYTHONPATH={tmp_path}:{Path.cwd()}", *command], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert reader.read() == [
        Event("label", "running", error=Failure("KeyError", "['--corpus', 'c']"))
    ]
