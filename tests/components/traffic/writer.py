"""A process that logs requests until it is killed: `python writer.py FOLDER URL [full]`.

As the service does, it prints a request's id only once it is in the log. With `full` it fills up
the disk that the folder is on, writes, makes room, and writes again.
"""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from components.base import Unavailable
from components.conversation import Turn
from components.traffic import LoggedRequest, LoggedTurn, LogWriter, TurnLog
from tests.small_disk import fill


def request(number: int) -> LoggedRequest:
    measures = {"duration": 1.0, "words_per_second": 1.0, "loudness_db": -20.0, "snr_db": 20.0}
    share = dict.fromkeys(("angry", "happy", "neutral", "sad"), 0.25)
    turn = Turn("call", 0.0, 1.0, "A", "hello", "sad", 0.25, share, 0.5)
    logged = LoggedTurn(turn, np.zeros(384, "f4"), measures)
    return LoggedRequest(
        request_id=f"request-{number:06d}",
        recording="r",
        time=datetime.now(UTC),
        route="/v1/analyze",
        version=1,
        alias="production",
        audio=False,
        turns=(logged,),
    )


def write_until_killed(log: TurnLog) -> None:
    writer = LogWriter(log)
    number = 0
    while True:
        writer.write(request(number))
        sys.stdout.write(f"request-{number:06d}\n")
        sys.stdout.flush()
        number += 1


def write_on_a_full_disk(log: TurnLog) -> None:
    """Prints how many requests there was room for, then what is in the log at the end."""
    with closing(LogWriter(log)) as writer:
        writer.write(request(0))
        filled = fill(log.folder)
        number, failure = 1, ""
        while not failure:  # what SQLite has reserved is used up first
            try:
                writer.write(request(number))
                number += 1
            except Unavailable as error:
                failure = str(error)
        filled.unlink()
        while failure:
            try:
                writer.write(request(number))
                failure = ""
            except Unavailable as error:
                assert "disk is full" in str(error), error
    logged = log.window()["request_id"].to_pylist()
    assert logged == [f"request-{n:06d}" for n in range(number + 1)], logged
    sys.stdout.write("logged what was written, and nothing else\n")


if __name__ == "__main__":
    opened = TurnLog(Path(sys.argv[1]), sys.argv[2])
    if sys.argv[3:] == ["full"]:
        write_on_a_full_disk(opened)
    else:
        write_until_killed(opened)
