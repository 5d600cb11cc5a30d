"""What people say of a change: text that every database takes whole, checked before any work."""

from components.base import InputError

LONGEST_REASON = 4000
"""Characters. MLflow's own column takes 5,000 on PostgreSQL, with what Moodline puts before it."""

LONGEST_ACTOR = 200


def check_reason(reason: str) -> None:
    """Refuse a reason that some database would not keep whole.

    Raises:
        InputError: it is too long, or holds what is no text.
    """
    _check("reason", reason, LONGEST_REASON)


def check_actor(actor: str) -> None:
    """Refuse a name of nobody, or one that some database would not keep whole.

    Raises:
        InputError: it is blank, too long, or holds what is no text.
    """
    if not actor.strip():
        raise InputError("a change of what is served needs the name of who makes it")
    _check("actor", actor, LONGEST_ACTOR)


def clipped(text: str, longest: int) -> str:
    """A text of a program's, cut with "…" where it is too long to keep."""
    text = text.replace("\0", "").encode("utf-8", "replace").decode()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _check(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise InputError(f"the {name} has {len(text)} characters; at most {longest}")
    # PostgreSQL keeps no NUL, and nobody keeps half a character.
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InputError(f"the {name} holds characters that are no text; use UTF-8 without NUL")
