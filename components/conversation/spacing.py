"""Languages that are written without spaces: how their text is cut into words and joined again."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from components.conversation.types import Word

WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})
"""Languages, by ISO code: those that Whisper's tokenizer splits by character
(faster_whisper/tokenizer.py), and Khmer and Tibetan."""

_LETTER = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Tibetan; Burmese; Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"  # Japanese, Chinese, their marks
    "\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
)
"""A character of a script that is written without spaces."""


def has_unspaced(text: str) -> bool:
    """Whether a text holds a script that is written without spaces.

    >>> has_unspaced("今日は"), has_unspaced("hello")
    (True, False)
    """
    return bool(_LETTER.search(text))


def joins(before: str, after: str, language: str | None) -> bool:
    """Whether a word is written to the one before it without a space.

    WhisperX gives such languages' words by character, Latin ones too; whole Latin words keep
    their space.

    >>> joins("今", "日", None), joins("two", "words", None), joins("i", "P", "ja")
    (True, False, True)
    >>> joins("New", "York", "ja")
    False

    Args:
        before: the word before; may be empty.
        after: the word.
        language: the transcript's, as an ISO code; None where it is not known.
    """
    if not before or not after:
        return False
    between = _LETTER.match(before[-1]), _LETTER.match(after[0])
    if language in WITHOUT_SPACES:
        return any(between) or len(before) == len(after) == 1
    return all(between)


def split_words(text: str) -> list[str]:
    """The words of a text: what stands between spaces, and each character of a script without.

    >>> split_words("so it is"), split_words("今日は iPhone")
    (['so', 'it', 'is'], ['今', '日', 'は', 'iPhone'])
    """
    return [word for part in text.split() for word in _characters(part)]


def _characters(part: str) -> Iterator[str]:
    """A part without spaces; a vowel sign or tone mark stays with the letter that carries it."""
    word = ""
    for character in part:
        mark = unicodedata.category(character).startswith(("M", "P"))
        if word and not mark and (_LETTER.match(character) or _LETTER.match(word[-1])):
            yield word
            word = ""
        word += character
    yield word


def join_words(words: Sequence[Word]) -> str:
    """Words as one text: each behind a space, but for those that are joined to the one before.

    >>> join_words([Word("今", 0, 1), Word("日", 1, 2, joined=True), Word("OK", 2, 3)])
    '今日 OK'
    """
    if not any(word.joined for word in words):
        return " ".join([word.text for word in words])
    texts = (word.text if word.joined else f" {word.text}" for word in words)
    return "".join(texts).removeprefix(" ")
