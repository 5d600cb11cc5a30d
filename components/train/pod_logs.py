"""What a pod of a TrainJob printed: text or JSON lines, and torchrun's report at the end."""

import json
import re
from collections.abc import Sequence

_TORCH = re.compile(r"(\[rank\d+\]:)?\[?[CDEFIW]\d{4} \d\d:\d\d:\d\d\.")
"""How a line of torch's own log begins."""

_FAILED = re.compile(r"E\d{4} .*torch/distributed/elastic/.* failed \(exitcode: (-?\d+)\)")
"""The line of torch's log with which torchrun's report of a failed process begins."""


def readable(text: str) -> list[str]:
    """The lines of a log that are not empty, each JSON object as its message or its traceback.

    >>> readable('{"level": "ERROR", "message": "moodline: no such file"}\\n\\n3 of 8')
    ['moodline: no such file', '3 of 8']
    """
    lines = [part for line in text.splitlines() for part in _said(line).splitlines()]
    return [line for line in lines if line.strip()]


def before_report(lines: Sequence[str]) -> tuple[list[str], str]:
    """What the training itself printed, without torch's log and torchrun's report.

    Args:
        lines: of a pod that failed.

    Returns:
        Its lines; all of them where torchrun reported no process. And the exit status that
        torchrun reported, or "".
    """
    failed = [
        (number, found[1]) for number, line in enumerate(lines) if (found := _FAILED.match(line))
    ]
    end, status = failed[-1] if failed else (len(lines), "")
    own = [line for line in lines[:end] if not _TORCH.match(line)]
    return own if own and failed else list(lines), status


def _said(line: str) -> str:
    """What a line says: of a JSON object its traceback, or its message."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
        return str(entry.get("exception") or entry["message"])
    except (ValueError, KeyError):
        return line
