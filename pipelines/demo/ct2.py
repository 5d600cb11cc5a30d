"""A CTranslate2 Whisper model's encoder as a Hugging Face one.

`model.bin` is a list of named arrays. Its layout (CTranslate2's model format, binary version 6)::

    u32 binary version, str spec, u32 spec revision, u32 number of arrays
    per array: str name, u8 rank, u32 × rank dimensions, u8 type, u32 bytes, the bytes

where a `str` is a u16 length, with its closing zero, and the characters.
"""

import struct
from pathlib import Path
from typing import IO

import numpy as np

from components.base import InputError, atomic_path

_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a CTranslate2 `model.bin`, by their names.

    Raises:
        InputError: not such a file, one of another version, or one cut short.
    """
    try:
        with path.open("rb") as file:
            (version,) = _unpack(file, "<I")
            if version != 6:
                raise InputError(f"{path}: CTranslate2 format {version} is not read, only 6")
            spec = _string(file)
            _, count = _unpack(file, "<II")
            if spec != "WhisperSpec":
                raise InputError(f"{path}: holds a {spec}, not a WhisperSpec")
            return dict(_array(file) for _ in range(count))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except (struct.error, ValueError, KeyError) as error:
        raise InputError(f"{path}: is not a whole CTranslate2 model") from error


def convert_encoder(ct2_dir: Path, out: Path) -> None:
    """Write a CTranslate2 Whisper model's encoder as a Hugging Face folder, whole or not at all.

    The folder holds `config.json`, `model.safetensors` (float32; the names of `WhisperModel`) and
    `preprocessor_config.json`; `MoodlineModel.from_encoders` loads it. The decoder is left out.
    The caller checks the hash of CTranslate2's `model.bin` in `ct2_dir`.

    Raises:
        InputError: not a CTranslate2 Whisper model.
    """
    from safetensors.numpy import save_file
    from transformers import WhisperConfig, WhisperFeatureExtractor

    arrays = read_arrays(Path(ct2_dir) / "model.bin")
    try:
        weights, layers = _encoder_weights(arrays)
        heads, vocabulary = (
            int(arrays["encoder/num_heads"]),
            len(arrays["decoder/embeddings/weight"]),
        )
    except KeyError as error:
        raise InputError(f"{ct2_dir}: the model lacks {error}") from error
    width, bins, _ = weights["encoder.conv1.weight"].shape
    feed_forward = len(weights["encoder.layers.0.fc1.bias"])
    config = WhisperConfig(
        architectures=["WhisperModel"],
        d_model=width,
        num_mel_bins=bins,
        vocab_size=vocabulary,
        max_source_positions=len(weights["encoder.embed_positions.weight"]),
        encoder_layers=layers,
        encoder_attention_heads=heads,
        encoder_ffn_dim=feed_forward,
        decoder_layers=layers,
        decoder_attention_heads=heads,
        decoder_ffn_dim=feed_forward,
    )
    with atomic_path(Path(out)) as folder:
        folder.mkdir()
        config.save_pretrained(folder)
        WhisperFeatureExtractor(feature_size=bins).save_pretrained(folder)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _encoder_weights(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """The encoder's arrays under Hugging Face's names, and how many layers it has."""
    weights = {"encoder.embed_positions.weight": arrays["encoder/position_encodings/encodings"]}

    def take(source: str, target: str) -> None:
        weight, bias = ("gamma", "beta") if source.endswith("norm") else ("weight", "bias")
        weights[f"encoder.{target}.weight"] = arrays[f"encoder/{source}/{weight}"]
        weights[f"encoder.{target}.bias"] = arrays[f"encoder/{source}/{bias}"]

    for name in ("conv1", "conv2", "layer_norm"):
        take(name, name)
    layers = 0
    while f"encoder/layer_{layers}/ffn/linear_0/weight" in arrays:
        old, new = f"layer_{layers}", f"layers.{layers}"
        take(f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm")
        take(f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
        take(f"{old}/self_attention/linear_1", f"{new}.self_attn.out_proj")
        take(f"{old}/ffn/linear_0", f"{new}.fc1")
        take(f"{old}/ffn/linear_1", f"{new}.fc2")
        # Query, key and value lie on one another; Whisper's keys have no bias (it is zero).
        for part in ("weight", "bias"):
            joined = np.split(arrays[f"encoder/{old}/self_attention/linear_0/{part}"], 3)
            weights |= {
                f"encoder.{new}.self_attn.{letter}_proj.{part}": array
                for letter, array in zip("qkv", joined, strict=True)
                if (letter, part) != ("k", "bias")
            }
        layers += 1
    return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in weights.items()}, layers


def _unpack(file: IO[bytes], form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _string(file: IO[bytes]) -> str:
    (length,) = _unpack(file, "<H")
    return file.read(length).rstrip(b"\0").decode()


def _array(file: IO[bytes]) -> tuple[str, np.ndarray]:
    name = _string(file)
    (rank,) = _unpack(file, "<B")
    shape = _unpack(file, f"<{rank}I")
    kind, size = _unpack(file, "<BI")
    data = np.frombuffer(file.read(size), dtype=_TYPES[kind])
    return name, data.reshape(shape)
