"""Older homes: files of an earlier version are converted to today's form when they are first read.

Each part of a home knows its own older forms. It rewrites them whole or not at all, once, and says
so here. The line is shown by the command line and stands in the service's log, at every log level.
"""

import logging
from pathlib import Path

logger = logging.getLogger("moodline.migration")
logger.setLevel(logging.INFO)


def migrated(path: Path | str, change: str) -> None:
    """Log that a part of an older home has been rewritten.

    Args:
        path: the file or folder, in its new form; or what else has one.
        change: what was changed, in a few words.
    """
    logger.info("migrated %s: %s", path, change)
