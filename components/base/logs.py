"""Logs for a collector: one JSON object a line, where `MOODLINE_LOG_FORMAT=json` asks for it.

    {"time": "2026-11-29T18:40:09.123+00:00", "level": "ERROR", "logger": "serving.api.app",
     "message": "…", "request_id": "…", "trace_id": "…", "exception": "Traceback …"}

`request_id` and `trace_id` are there within a request, `exception` where there is one.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType

from components.base.addresses import masked

LOG_FORMAT = "MOODLINE_LOG_FORMAT"
"""The environment variable; `json`, or text for people."""

Context = Callable[[], Mapping[str, str]]
"""Gives the fields that a line gets from where it is written: the request's id, say."""


def logs_are_json() -> bool:
    """Whether this process is to write JSON."""
    return os.environ.get(LOG_FORMAT, "").lower() == "json"


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; passwords in addresses are masked."""

    def __init__(self, context: Context | None = None) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        if self._context is not None:
            entry |= self._context()
        if record.exc_info:
            entry["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def log_as_json(level: int = logging.WARNING, context: Context | None = None) -> None:
    """Send all that this process logs to standard error as JSON: what libraries log, their
    warnings and uncaught exceptions, too.

    Args:
        level: of loggers that have none of their own; Moodline's own lines are shown from INFO on.
        context: see `Context`; it must not raise.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if any(not isinstance(one, logging.NullHandler) for one in logger.handlers):
            logger.handlers.clear()
            logger.propagate = True
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    logging.getLogger("moodline").setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda given: _uncaught(
        given.exc_type, given.exc_value or given.exc_type(), given.exc_traceback
    )


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logging.getLogger("moodline").critical(
        "%s: %s", kind.__name__, error, exc_info=(kind, error, traceback)
    )
