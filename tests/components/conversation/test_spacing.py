"""What stands between words: the text that they are of tells it, else their language."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whisperx.utils import LANGUAGES, TO_LANGUAGE_CODE

from components.conversation import join_words, parse_words, spaced_words
from components.conversation.spacing import (
    SPACES,
    WITHOUT_SPACES,
    language_code,
    spaces_between,
    tells_spaces,
)

TEXTS = st.text(
    st.sampled_from("ab20,.-“”'\"!今日はスทีนี่ខ្ញ大韓안녕é\u0301 \u200b\u3000\u00a0\n"), max_size=24
)
LANGUAGE = st.sampled_from([None, "en", "zh", "ja-JP", "Thai", "KM", "ko", "?", ""])


def joined(words: list[str] | None, text: str | None = None, language: str | None = None) -> str:
    entry = {"start": 0, "end": 9}
    entry |= {} if words is None else {"words": [{"word": word} for word in words]}
    entry |= {} if text is None else {"text": text}
    (segment,) = parse_words({"segments": [entry], "language": language}, "words")
    return join_words(segment.words)


def shown(text: str) -> str:
    """The text as a turn has it: no space at its ends, one in place of several or of a new line."""
    return re.sub(r"\s{2,}|\n", " ", text.strip(SPACES))


@given(TEXTS, LANGUAGE)
def test_a_text_cut_into_words_is_the_text_again(text: str, language: str | None) -> None:
    assert join_words(spaced_words(text, language)) == shown(text)
    assert joined(None, text, language) == shown(text)
    assert joined([], text, language) == shown(text)


@given(TEXTS, LANGUAGE, st.sets(st.integers(1, 23)))
def test_words_joined_again_are_their_segments_text(
    text: str, language: str | None, cuts: set[int]
) -> None:
    """However the recogniser cut it, and whether its words have their spaces or not."""
    pieces = [text[a:b] for a, b in pairwise(sorted({0, *cuts, len(text)}))]
    whole = shown("".join(pieces))
    within = [shown(piece) for piece in pieces]
    if not any(re.search(f"[{SPACES}]", piece.strip(SPACES)) for piece in pieces):
        assert joined(pieces, text, language) == whole
        assert joined(within, text, language) == whole
        if "" not in within:
            own = spaces_between(whole, within)
            assert joined(pieces, None, language) == (
                whole if tells_spaces(within, own, language) else joined(within, None, language)
            )


@pytest.mark.parametrize(
    ("words", "language", "text"),
    [
        (["20", "24", "年"], "zh", "2024年"),
        (["3", ".", "5", "%"], "zh", "3.5%"),
        (["他", "说", "“", "OK", "”", "。"], "zh", "他说“OK”。"),
        (["他", "说", '"', "OK", '"', "。"], "zh", '他说"OK"。'),
        (["「", "New", "York", "」", "です"], "ja", "「New York」です"),
        (["日", "“", "本"], None, "日“本"),
        (["i", "P", "今"], "ja-JP", "iP今"),
        (["A", "I"], "japanese", "AI"),
        (["A", "I"], "ZH", "AI"),
        (["A", "I"], "zh_Hans_CN", "AI"),
        (["A", "I"], "en", "A I"),
        (["大韓", "民國"], "ko-KR", "大韓 民國"),
        (["大韓", "民國"], "Korean", "大韓 民國"),
        (["OK", ",", "Google"], "zh", "OK, Google"),
        ([" a", " New", " York", "-based", " firm"], "en", "a New York-based firm"),
        ([" Twenty", "-five", "%", " of"], None, "Twenty-five% of"),
        ([" l", "'homme", " dit"], "fr", "l'homme dit"),
        (["Hello ", "world", "now"], "en", "Hello world now"),
        ([" Hello", "world", "now", " yes"], "en", "Hello world now yes"),
        ([" Hello", "world", "now", " yes"], None, "Hello world now yes"),
        ([" Open", "AI", " は"], "ja", "OpenAI は"),
        (["今天", " iPhone"], "zh", "今天 iPhone"),
        (["ខ្ញុំ", "\u200bទៅ", " ផ្ទះ"], "km", "ខ្ញុំ\u200bទៅ ផ្ទះ"),
    ],
)
def test_without_a_text_the_words_and_their_language_tell(
    words: list[str], language: str | None, text: str
) -> None:
    assert joined(words, None, language) == text


@pytest.mark.parametrize(
    ("words", "text", "language"),
    [
        (["สวัสดี", "ครับ", "ผม"], "สวัสดี ครับผม", "th"),
        (["ខ្ញុំ", "ទៅ", "ផ្ទះ"], "ខ្ញុំ\u200bទៅ ផ្ទះ", "km"),
        (["大韓民國", "萬歲"], "大韓民國 萬歲", None),
        (["20", "24", "年"], "20 24年", "zh"),
    ],
)
def test_the_text_goes_before_the_language(words: list[str], text: str, language: str) -> None:
    assert joined(words, text, language) == text


def test_words_that_are_not_the_texts_are_joined_by_their_language() -> None:
    assert joined(["今", "日", "は"], "昨日は", "ja") == "今日は"
    assert joined(["so", "it", "is"], "so, it is", "en") == "so it is"


def test_languages_are_known_by_all_that_whisper_calls_them() -> None:
    for name, code in TO_LANGUAGE_CODE.items():
        if code in WITHOUT_SPACES | {"ko"}:
            assert language_code(name.title()) == code
    assert set(LANGUAGES) >= WITHOUT_SPACES
    for code in LANGUAGES:
        assert language_code(f" {code.upper()}-XX ") == code
