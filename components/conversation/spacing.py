"""What stands between words: a space, or nothing in languages that are written without spaces."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from components.conversation.types import Word

WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})
"""Languages, by ISO code: those that Whisper's tokenizer splits by character
(faster_whisper/tokenizer.py), and Khmer and Tibetan."""

_CODES = {
    **{"chinese": "zh", "mandarin": "zh", "cmn": "zh", "zho": "zh", "chi": "zh", "wuu": "zh"},
    **{"japanese": "ja", "jpn": "ja", "thai": "th", "tha": "th", "lao": "lo", "laotian": "lo"},
    **{"myanmar": "my", "burmese": "my", "mya": "my", "bur": "my", "cantonese": "yue"},
    **{"khmer": "km", "khm": "km", "cambodian": "km", "tibetan": "bo", "bod": "bo", "tib": "bo"},
    **{"korean": "ko", "kor": "ko"},
}
"""The code of a language by what else it is called: its name in Whisper, ISO 639's longer codes."""

SPACES = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b"
)
"""White space, and the space of no width (U+200B) that stands between words of Khmer."""

_GAP = re.compile(f"[{SPACES}]*")
_PART = re.compile(f"[^{SPACES}]+")
_RUN = re.compile(r"\s{2,}|[\t-\r\x1c-\x1f\x85\u2028\u2029]")
"""Several spaces, or the end of a line: one space in a turn's text."""

_LETTER = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Tibetan; Burmese; Khmer
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"  # Japanese, Chinese, their marks
    "\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
)
"""A character of a script that is written without spaces."""

_OPENING = {"Ps", "Pi", "Sc"}
"""Categories of marks that are written to what follows them: brackets, quotes, currency."""

_BETWEEN = "\"'/@#_-"
"""Marks that are written to what is on either side."""


def has_unspaced(text: str) -> bool:
    """Whether a text holds a script that is written without spaces.

    >>> has_unspaced("今日は"), has_unspaced("hello")
    (True, False)
    """
    return bool(_LETTER.search(text))


def language_code(language: str | None) -> str:
    """A language's ISO code, whatever it is given as; empty where it is not known.

    >>> language_code("ja-JP"), language_code("Japanese"), language_code("ZH"), language_code(None)
    ('ja', 'ja', 'zh', '')
    """
    name = re.split(r"[^a-z]", (language or "").strip().lower())[0]
    return _CODES.get(name, name)


def joins(before: str, after: str, language: str | None) -> bool:
    """Whether a word is written to the one before it without a space, where no text tells it.

    WhisperX gives such languages' words by character, Latin ones too, and others split numbers;
    whole Latin words keep their space.

    >>> joins("今", "日", None), joins("two", "words", None), joins("i", "P", "ja")
    (True, False, True)
    >>> joins("20", "24", "zh"), joins("New", "York", "ja"), joins("大韓", "民國", "ko")
    (True, False, False)

    Args:
        before: the word before; may be empty.
        after: the word.
        language: the transcript's, as `language_code` takes it; None where it is not known.
    """
    code = language_code(language)
    if not before or not after or code == "ko":  # Chinese characters, but spaces between words
        return False
    last, first = before[-1], after[0]
    unspaced = [bool(_LETTER.match(character)) for character in (last, first)]
    if code not in WITHOUT_SPACES:
        return all(unspaced) or (any(unspaced) and (_is_mark(last) or _is_mark(first)))
    return (
        any(unspaced)
        or len(before) == len(after) == 1
        or (last.isdigit() and first.isdigit())
        or (_is_mark(first) and not _opens(first))
        or (_is_mark(last) and (_opens(last) or last in _BETWEEN or first.isdigit()))
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _opens(mark: str) -> bool:
    return unicodedata.category(mark) in _OPENING


def spaces_between(text: str, words: Iterable[str]) -> list[str]:
    """What stands before each word in the text that they are of: a space, nothing …

    >>> spaces_between("在 2024年", ["在", "20", "24", "年"])
    ['', ' ', '', '']

    Returns:
        One entry a word, as far as the text has the words; fewer where they differ.
    """
    spaces: list[str] = []
    at = 0
    for word in words:
        gap = _GAP.match(text, at)
        if gap is None or not text.startswith(word, gap.end()):
            break
        spaces.append(_RUN.sub(" ", gap[0]))
        at = gap.end() + len(word)
    return spaces


def tells_spaces(words: Sequence[str], own: Sequence[str], language: str | None) -> bool:
    """Whether words carry their own spaces, so that a word without one is joined to the last.

    In languages with spaces, faster-whisper leaves the space out only before a mark. Who leaves it
    out elsewhere has put a stray space somewhere, and the rules of the language decide.

    >>> tells_spaces(["New", "York", "-based"], ["", " ", ""], "en")
    True
    >>> tells_spaces(["Hello", "world", "now"], ["", " ", ""], "en")
    False

    Args:
        words: none of them empty.
        own: what stands before each.
        language: as `joins` takes it.
    """
    if not any(own[1:]) or language_code(language) in WITHOUT_SPACES:
        return any(own[1:])
    return all(
        space or _is_mark(word[0]) or has_unspaced(last[-1] + word[0])
        for last, word, space in zip(words, words[1:], own[1:], strict=False)
    )


def split_words(text: str) -> list[str]:
    """The words of a text: what stands between spaces, and each character of a script without.

    >>> split_words("so it is"), split_words("今日は iPhone")
    (['so', 'it', 'is'], ['今', '日', 'は', 'iPhone'])
    """
    return [word for part in _PART.findall(text) for word in _characters(part)]


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
    """Words as one text, each behind its space.

    >>> join_words([Word("今", 0, 1), Word("日", 1, 2, space=""), Word("OK", 2, 3)])
    '今日 OK'
    """
    return (
        "".join([word.space + word.text for word in words])[len(words[0].space) :] if words else ""
    )
