"""A process that logs requests until it is killed: `python writer.py FOLDER`.

As the service does, it tells of a request (prints its id) only once it is in the log.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from components.conversation import Turn
from components.traffic import Answered, Journal, LoggedTurn


def main(folder: Path, roll_bytes: int) -> None:
    journal = Journal(folder, roll_bytes=roll_bytes, sync_seconds=0.01)
    measures = {"duration": 1.0, "words_per_second": 1.0, "loudness_db": -20.0, "snr_db": 20.0}
    share = dict.fromkeys(("angry", "happy", "neutral", "sad"), 0.25)
    turn = Turn("call", 0.0, 1.0, "A", "hello", "sad", 0.25, share, 0.5)
    logged = LoggedTurn(turn, np.zeros(384, "f4"), measures)
    number = 0
    while True:
        name = f"request-{number:06d}"
        at = datetime.now(UTC)
        answered = Answered(name, "r", at, "/v1/analyze", 1, "production", False, (logged,))
        journal.append(answered.line())
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
