"""Words to token ids, the same in training and in serving, without torch or transformers."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def load_tokenizer(folder: Path) -> "Tokenizer":
    """The tokenizer of a model's folder (its `tokenizer.json`), with no truncation or padding.

    Raises:
        InputError: the folder has no such tokenizer.
    """
    from tokenizers import Tokenizer

    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder}: holds no tokenizer (tokenizer.json is missing)")
    return _whole(Tokenizer.from_file(str(path)))


def pretrained_tokenizer(name: str) -> "Tokenizer":
    """The same of a text encoder, by folder or hub name, as `load_tokenizer` finds it once saved.

    Raises:
        InputError: an encoder without a fast tokenizer.
    """
    from transformers import AutoTokenizer

    fast = AutoTokenizer.from_pretrained(name)
    if not fast.is_fast:
        raise InputError(f"{name}: has no tokenizer.json; choose a text encoder that has one")
    return _whole(fast.backend_tokenizer)


def _whole(tokenizer: "Tokenizer") -> "Tokenizer":
    """The tokenizer, with no truncation or padding."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode_windows(tokenizer: "Tokenizer", text: str, count: int) -> list[list[int]]:
    """Token ids of a text cut into `count` nearly equal pieces, each with its special tokens."""
    words = tokenizer.encode(text, add_special_tokens=False).ids
    sample = tokenizer.encode("a")
    inner = [i for i, special in enumerate(sample.special_tokens_mask) if not special]
    if not inner:
        raise InputError("the tokenizer has no token for a letter; it does not fit a text encoder")
    opening, closing = sample.ids[: inner[0]], sample.ids[inner[-1] + 1 :]
    bounds = [round(i * len(words) / count) for i in range(count + 1)]
    return [[*opening, *words[first:last], *closing] for first, last in pairwise(bounds)]
