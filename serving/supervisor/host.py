"""`bentoml serve`, with a dead worker replaced within a second: BentoML itself looks every ten.

It takes what `bentoml serve` takes:

    python -m serving.supervisor.host serving.api.service:MoodlineService
"""

import sys
from functools import partial

LOOK_SECONDS = 1.0


def main() -> None:
    """Serve until a signal comes."""
    from bentoml._internal.utils import circus
    from bentoml_cli.cli import cli

    # No setting reaches it; `tests/serving/supervisor/test_replicas.py` holds that it works.
    circus.create_standalone_arbiter = partial(
        circus.create_standalone_arbiter, check_delay=LOOK_SECONDS
    )
    cli(["serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
