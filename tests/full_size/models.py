"""Models of full size from their published configurations, with random weights, on this machine.

`python -m tests.full_size.models NAME HOME TOKENIZER` writes one of `MODELS` into HOME, in a
process of its own, so that what building takes is given back. TOKENIZER is the folder of a
multilingual Whisper in CTranslate2's form: the large one has the same tokens.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

WHISPER = {
    "d_model": 1280, "encoder_layers": 32, "decoder_layers": 32, "encoder_attention_heads": 20,
    "decoder_attention_heads": 20, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120,
    "vocab_size": 51865, "num_mel_bins": 80, "max_source_positions": 1500,
    "max_target_positions": 448,
}  # fmt: skip
"""openai/whisper-large-v2, config.json."""

CTC = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "feat_extract_norm": "layer", "conv_bias": True,
    "do_stable_layer_norm": True,
}  # fmt: skip
"""jonatasgrosman/wav2vec2-large-xlsr-53-english, config.json; letters as in its vocab.json."""

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", "'", "-", *"abcdefghijklmnopqrstuvwxyz")

SEGMENTATION = {
    "lstm": {"hidden_size": 128, "num_layers": 4, "bidirectional": True, "monolithic": True,
             "dropout": 0.5},
    "linear": {"hidden_size": 128, "num_layers": 2},
    "sincnet": {"stride": 10},
}  # fmt: skip
"""pyannote/segmentation-3.0, its checkpoint's hyperparameters."""

VOICES, KEPT = 256, 128
"""Dimensions of an embedding (wespeaker-voxceleb-resnet34-LM), and of community-1's PLDA."""


def whisper(home: Path, tokenizer: Path) -> None:
    """Whisper large-v2 as CTranslate2 holds it, by its own converter; weights in int8."""
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizerFast

    hub, out = home / "whisper-large-v2-hub", home / "whisper-large-v2"
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float16)
    tokens = WhisperTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json"))
    special = {"pad_token_id": 50257, "bos_token_id": 50257, "eos_token_id": 50257,
               "decoder_start_token_id": 50258}  # fmt: skip
    model = WhisperForConditionalGeneration(WhisperConfig(**WHISPER, **special))
    model.save_pretrained(hub)
    del model
    tokens.save_pretrained(hub)
    converter = TransformersConverter(str(hub), load_as_float16=True, low_cpu_mem_usage=True)
    converter.convert(str(out), quantization="int8")
    shutil.copy(tokenizer / "tokenizer.json", out)
    shutil.rmtree(hub)


def aligner(home: Path, _: Path) -> None:
    """A large wav2vec 2.0 with CTC, as `whisperx.load_align_model` takes it."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = home / "wav2vec2-large-english"
    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({letter: n for n, letter in enumerate(LETTERS)}))
    torch.manual_seed(0)
    config = Wav2Vec2Config(**CTC, vocab_size=len(LETTERS), pad_token_id=0)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    features = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    Wav2Vec2Processor(features, Wav2Vec2CTCTokenizer(str(vocabulary))).save_pretrained(folder)


def diarization(home: Path, _: Path) -> None:
    """speaker-diarization 3.1 and community-1, each with a PyanNet and a ResNet34 of full size."""
    import torch
    import yaml
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    from components.diarize.demo.resemblyzer import Resemblyzer
    from tests.components.diarize.full_size import CONFIGS, write_checkpoint

    torch.manual_seed(0)
    segmentation = PyanNet(**SEGMENTATION)
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.build()
    with torch.no_grad():  # random weights as they are would answer one set of speakers for ever
        segmentation.classifier.weight.mul_(50)
    voices = WeSpeakerResNet34()
    voices.specifications = Resemblyzer().specifications
    random = np.random.default_rng(0)
    for name, config in CONFIGS.items():
        folder = home / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        write_checkpoint(segmentation, folder / "segmentation")
        write_checkpoint(voices, folder / "embedding")
        plda = folder / "plda"
        plda.mkdir()
        lda = np.linalg.qr(random.normal(size=(VOICES, VOICES)))[0][:, :KEPT]
        transform = {"mean1": np.zeros(VOICES), "mean2": np.zeros(KEPT), "lda": lda}
        np.savez(plda / "xvec_transform.npz", **transform)
        psi = np.linspace(8, 1, KEPT)
        np.savez(plda / "plda.npz", mu=np.zeros(KEPT), tr=np.eye(KEPT), psi=psi)


def fusion(home: Path, _: Path) -> None:
    """The paper's model over wav2vec2-base and roberta-base."""
    import torch

    from components.fusion.config import MoodlineConfig
    from components.fusion.model import MoodlineModel
    from tests.tiny import word_tokenizer

    torch.manual_seed(0)
    roberta = {"model_type": "roberta", "vocab_size": 50_265, "max_position_embeddings": 514,
               "type_vocab_size": 1}  # fmt: skip
    config = MoodlineConfig({"model_type": "wav2vec2"}, roberta, normalize_audio=True)
    MoodlineModel(config).eval().save_pretrained(home / "fusion")
    word_tokenizer().save(str(home / "fusion" / "tokenizer.json"))


MODELS = {"whisper": whisper, "aligner": aligner, "diarization": diarization, "fusion": fusion}

if __name__ == "__main__":
    MODELS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
