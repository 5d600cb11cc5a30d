"""Tokenizers of whole words and tiny random encoders, for tests that train or serve a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def word_tokenizer(words: Sequence[str] = ()) -> "Tokenizer":
    """A token a word, numbered on from `SPECIAL`; [CLS] and [SEP] around them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    numbers = {word: i for i, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, numbers[name]) for name in SPECIAL[2:]]
    )
    return tokenizer


def save_encoders(home: Path, texts: Sequence[str], width: int) -> Path:
    """Write `tiny-wave` (wav2vec 2.0) and `tiny-text` (BERT), as pretrained encoders are stored.

    One layer each, random weights from seed 0 and no dropout, so that runs can be compared.

    Args:
        home: the folder to write into.
        texts: what will be said: the tokenizer knows its words, and "a".
        width: of the states; twice that of the convolutions.

    Returns:
        `home`.
    """
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        PreTrainedTokenizerFast,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
    )

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "hidden_size": width,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": width,
    }
    wave = Wav2Vec2Config(
        conv_dim=[width // 2] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        **sizes,
    )
    Wav2Vec2Model(wave).save_pretrained(home / "tiny-wave")
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(home / "tiny-wave")
    words = [*sorted({word for text in texts for word in text.split()}), "a"]
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(words), model_max_length=16, **named
    ).save_pretrained(home / "tiny-text")
    text = BertConfig(
        vocab_size=len(SPECIAL) + len(words),
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **sizes,
    )
    BertModel(text).save_pretrained(home / "tiny-text")
    return home
