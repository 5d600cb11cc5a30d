"""`bentoml serve` with the changes in `serving.patches`:

python -m serving.supervisor.host FOLDER serving.api.service:MoodlineService

FOLDER is for the sockets of those who run the workers: nobody else may enter it. What follows it is
what `bentoml serve` takes.
"""

import sys
from pathlib import Path

from components.base import logs_are_json
from serving.patches import keep_arbiter_private, log_arbiter_as_json, tie_workers
from serving.processes import end_with_parent


def main() -> None:
    """Serve until a signal comes."""
    from bentoml_cli.cli import cli

    if logs_are_json():
        log_arbiter_as_json()
    keep_arbiter_private(Path(sys.argv[1]))
    tie_workers(end_with_parent)
    cli(["serve", *sys.argv[2:]])


if __name__ == "__main__":
    main()
