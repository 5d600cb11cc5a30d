"""`bentoml serve` with the changes in `serving.patches`; it takes what `bentoml serve` takes:

python -m serving.supervisor.host serving.api.service:MoodlineService
"""

import sys

from serving.patches import replace_dead_workers_soon


def main() -> None:
    """Serve until a signal comes."""
    from bentoml_cli.cli import cli

    replace_dead_workers_soon()
    cli(["serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
