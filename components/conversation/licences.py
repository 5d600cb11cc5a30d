"""The licences of recordings, and which of them is the strictest."""

import re
from collections.abc import Iterable

from components.conversation.types import Recording

UNKNOWN_LICENCE = "unknown"
"""Where nobody names one: what may be done must be asked, so it is the strictest."""

_RANKS = (
    r"cc-?0\b|public domain|pddl|unlicense",
    r"cc[ -]by(?![ -](nc|nd|sa))|mit\b|bsd|apache|odc-by|dbcl",
    r"cc[ -]by-sa|odbl|gpl",
    r"cc[ -]by-nd",
    r"cc[ -]by-nc(?!-)",
    r"cc[ -]by-nc-sa",
    r"cc[ -]by-nc-nd",
    r"research|academic|non-?commercial|agreement|eula",
)
"""From the freest to the strictest: no rights kept, name the author, share alike, change nothing,
sell nothing, both, research only."""


NOT_FOR_SALE = 4
"""The strictness from which on a licence allows no commercial use, or may not."""


def strictness(licence: str) -> int:
    """How strict a licence is; one that is not known is the strictest.

    >>> [strictness(name) for name in ("CC0 1.0", "CC BY 4.0", "ODbL 1.0", "CC BY-NC-SA 4.0")]
    [0, 1, 2, 5]
    >>> strictness("research only") < strictness("unknown") == strictness("ask Ann")
    True
    """
    for rank, pattern in enumerate(_RANKS):
        if re.search(pattern, licence, re.IGNORECASE):
            return rank
    return len(_RANKS)


def strictest_first(licences: Iterable[str]) -> list[str]:
    """Each licence once, the strictest first.

    >>> strictest_first(["CC BY 4.0", "unknown", "CC BY-NC 4.0", "CC BY 4.0"])
    ['unknown', 'CC BY-NC 4.0', 'CC BY 4.0']
    """
    return sorted(set(licences), key=lambda licence: (-strictness(licence), licence))


def licence_of(recording: Recording) -> str:
    """The manifest's column `licence`."""
    return recording.column("licence") or UNKNOWN_LICENCE
