"""`python -m tests.real` (`make bench-real`): checks that the data is there, and measures.

Further arguments go to pytest: `-k emotions`. Exit status 2, in one line: the data is not there.
"""

import sys
from pathlib import Path

import pytest

from components.base import MoodlineError
from tests.real.data import real_data


def main(arguments: list[str]) -> int:
    """Measure, and return the exit status."""
    try:
        real_data()
    except MoodlineError as error:
        print(f"bench-real: {error}", file=sys.stderr)
        return 2
    here = str(Path(__file__).parent)
    options = ["-s", "-p", "no:cacheprovider", "-W", "ignore", "-o", "timeout=7200"]
    return int(pytest.main([here, *options, *arguments]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
