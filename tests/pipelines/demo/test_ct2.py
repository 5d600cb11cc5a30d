"""CTranslate2's Whisper file to a Hugging Face encoder."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperModel

from components.base import InputError
from components.fusion.acoustic import load_acoustic_encoder
from pipelines.demo.ct2 import convert_encoder, read_arrays


@pytest.fixture(scope="module")
def whisper() -> WhisperModel:
    """A tiny random Whisper whose biases are not zero."""
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_layers=1,
        decoder_attention_heads=2,
        vocab_size=50,
        max_source_positions=20,
        pad_token_id=0,
    )
    model = WhisperModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter).half())
    return model


@pytest.fixture
def ct2_dir(whisper: WhisperModel, tmp_path: Path) -> Path:
    """The same model as CTranslate2 writes it."""
    arrays = {"encoder/num_heads": np.array(2, "<i2")}
    arrays["decoder/embeddings/weight"] = np.zeros((50, 16), "<f2")
    weights = {k: v.numpy().astype("<f2") for k, v in whisper.encoder.state_dict().items()}

    def put(target: str, source: str, parts: tuple[str, str] = ("weight", "bias")) -> None:
        for new, old in zip(parts, ("weight", "bias"), strict=True):
            arrays[f"encoder/{target}/{new}"] = weights[f"{source}.{old}"]

    norm = ("gamma", "beta")
    put("conv1", "conv1")
    put("conv2", "conv2")
    put("layer_norm", "layer_norm", norm)
    arrays["encoder/position_encodings/encodings"] = weights["embed_positions.weight"]
    for i in range(2):
        attention = f"layers.{i}.self_attn"
        queries = [weights[f"{attention}.{p}_proj.weight"] for p in "qkv"]
        biases = [weights[f"{attention}.{p}_proj.bias"] for p in "qv"]
        biases.insert(1, np.zeros(16, "<f2"))
        arrays[f"encoder/layer_{i}/self_attention/linear_0/weight"] = np.concatenate(queries)
        arrays[f"encoder/layer_{i}/self_attention/linear_0/bias"] = np.concatenate(biases)
        put(f"layer_{i}/self_attention/linear_1", f"{attention}.out_proj")
        put(f"layer_{i}/self_attention/layer_norm", f"layers.{i}.self_attn_layer_norm", norm)
        put(f"layer_{i}/ffn/layer_norm", f"layers.{i}.final_layer_norm", norm)
        put(f"layer_{i}/ffn/linear_0", f"layers.{i}.fc1")
        put(f"layer_{i}/ffn/linear_1", f"layers.{i}.fc2")

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    data = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        kind = {"<f2": 4, "<i2": 2}[array.dtype.str]
        data += string(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += struct.pack("<BI", kind, array.nbytes) + array.tobytes()
    (tmp_path / "model.bin").write_bytes(data + struct.pack("<I", 0))
    return tmp_path


def test_the_converted_encoder_answers_like_the_original(
    whisper: WhisperModel, ct2_dir: Path
) -> None:
    convert_encoder(ct2_dir, ct2_dir / "out")
    names = {p.name for p in (ct2_dir / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json"}
    config = WhisperConfig.from_pretrained(ct2_dir / "out")
    encoder = load_acoustic_encoder(str(ct2_dir / "out"), config).eval()
    features = torch.randn(1, 80, 40)
    with torch.inference_mode():
        theirs = whisper.encoder(features).last_hidden_state
        assert torch.allclose(encoder(features).last_hidden_state, theirs, atol=1e-4)


def test_a_whole_whisper_checkpoint_loads_too(whisper: WhisperModel, tmp_path: Path) -> None:
    whisper.save_pretrained(tmp_path)
    encoder = load_acoustic_encoder(str(tmp_path), whisper.config)
    for name, weight in whisper.encoder.state_dict().items():
        assert torch.equal(weight, encoder.state_dict()[name]), name


def test_broken_files_are_refused(ct2_dir: Path, tmp_path: Path) -> None:
    whole = (ct2_dir / "model.bin").read_bytes()
    faults = {
        b"": "not a whole",
        whole[:-500]: "not a whole",
        b"\x05\0\0\0": "format 5",
        whole.replace(b"WhisperSpec", b"PhaserXSpec"): "holds a PhaserXSpec",
    }
    for data, message in faults.items():
        (tmp_path / "model.bin").write_bytes(data)
        with pytest.raises(InputError, match=message):
            convert_encoder(tmp_path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path / "none.bin")


@pytest.mark.models
def test_the_prepared_encoder_loads_whole(models_home: Path) -> None:
    from components.fusion.model import MoodlineModel

    model = MoodlineModel.from_encoders(
        str(models_home / "whisper-tiny.en-encoder"), str(models_home / "all-minilm-l6-v2")
    )
    assert model.config.hidden_size == 384
    assert model.config.max_tokens == 512
    assert not model.config.normalize_audio
    assert model.acoustic.encoder.conv1.weight.abs().sum() > 100
