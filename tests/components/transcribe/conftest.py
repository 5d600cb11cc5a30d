"""The demo's recogniser, loaded once, and short recordings to try it on."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.config import Settings, load_profile
from components.conversation import SAMPLE_RATE, Recording, Word, read_audio, read_words
from components.transcribe import Transcriber


@pytest.fixture(scope="session")
def dialogue(demo_corpus: Path) -> tuple[np.ndarray, list[Word]]:
    """The first 20 s or so of a synthetic dialogue, and its true words."""
    (audio,) = demo_corpus.rglob("Ses01F_impro01.ogg")
    segments = read_words(demo_corpus / "truth" / "Ses01F_impro01.json")
    kept = [segment for segment in segments if segment.end < 20]
    words = [word for segment in kept for word in segment.words]
    return read_audio(audio, 0, kept[-1].end + 0.2), words


@pytest.fixture(scope="session")
def transcriber(models_home: Path) -> Transcriber:
    """The demo profile's."""
    return Transcriber(load_profile("tiny").transcribe, Settings(models=models_home))


@pytest.fixture
def recordings(dialogue: tuple[np.ndarray, list[Word]], tmp_path: Path) -> list[Recording]:
    """Two recordings of a few seconds."""
    audio, _ = dialogue
    made = []
    for number, (start, end) in enumerate([(0, 5), (5, 9)]):
        path = tmp_path / f"talk{number}.wav"
        soundfile.write(path, audio[start * SAMPLE_RATE : end * SAMPLE_RATE], SAMPLE_RATE)
        made.append(Recording(path.stem, path, "fold", None, ()))
    return made


@pytest.fixture(scope="session")
def ctc_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny, random wav2vec 2.0 CTC model of English letters, as `whisperx.align` takes it."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("ctc")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({letter: n for n, letter in enumerate(letters)}))
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(letters),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8, 8, 8, 8, 8, 8, 8),
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            pad_token_id=0,
        )
    )
    model.save_pretrained(folder)
    Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(), Wav2Vec2CTCTokenizer(str(vocabulary))
    ).save_pretrained(folder)
    return folder
