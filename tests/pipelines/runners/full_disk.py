"""Run the tiny pipeline where the disk is full, then again with room; run on a small disk."""

import json
import sys
from pathlib import Path

from components.base import DiskFull
from components.config import Settings, load_profile
from pipelines.runners.local import run_pipeline
from tests.small_disk import resize


def main(disk: Path) -> None:
    settings = Settings(home=disk / "home")
    asked = ("tiny_pipeline:tiny_pipeline", load_profile("tiny"), {"says": "large"}, settings)
    message = ""
    try:
        run_pipeline(*asked)
    except DiskFull as error:
        message = str(error)
    registered = len(list(settings.runs.glob("*/tiny-*/register")))
    resize(disk, 64)
    states = {name: event.state for name, event in run_pipeline(*asked).steps.items()}
    print(json.dumps({"message": message, "registered": registered, "states": states}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
