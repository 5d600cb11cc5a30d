"""What each kind of work on a recording took: `moodline analyze --profile-stages`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from components.base import cores, watched
from pipelines.cli.console import err
from pipelines.cli.tables import plain_table, right


@contextmanager
def stage_profile(wanted: bool) -> Iterator[None]:
    """Say on standard error what the block's work took, if that is wanted.

    Kinds of work go on side by side, so their seconds add up to more than the time that passed.
    """
    if not wanted:
        yield
        return
    began = time.perf_counter()
    with watched() as stages:
        yield
    passed = time.perf_counter() - began
    table = plain_table("work", *right("seconds", "processor seconds"))
    for name, spent in stages.spent.items():
        table.add_row(name, f"{spent.seconds:.1f}", f"{spent.processor:.1f}")
    total = sum(spent.processor for spent in stages.spent.values())
    table.add_row(f"in all, {cores()} cores", f"{passed:.1f}", f"{total:.1f}")
    err.print(table)
