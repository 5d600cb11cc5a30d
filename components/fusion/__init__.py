"""The bimodal model: a speech encoder and a text encoder, fused by gated cross-attention.

One clip is a turn's waveform and its words; one answer is four probabilities and the fused
vector. The model, its windows and its tokens are the same in training, evaluation and serving.
Nothing heavy is imported until it is asked for: `OnnxModel` and the tokens never need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.fusion.config import MoodlineConfig
    from components.fusion.export import export_onnx
    from components.fusion.measures import turn_measures
    from components.fusion.model import MoodlineModel, load_model
    from components.fusion.onnx_model import OnnxModel
    from components.fusion.prediction import open_version, predict
    from components.fusion.tokens import encode_text, load_tokenizer
    from components.fusion.windows import Clip, Window, average_windows, clip_windows

_HOMES = {
    "Clip": "windows",
    "MoodlineConfig": "config",
    "MoodlineModel": "model",
    "OnnxModel": "onnx_model",
    "Window": "windows",
    "average_windows": "windows",
    "clip_windows": "windows",
    "encode_text": "tokens",
    "export_onnx": "export",
    "load_model": "model",
    "load_tokenizer": "tokens",
    "open_version": "prediction",
    "predict": "prediction",
    "turn_measures": "measures",
}

__all__ = [
    "Clip",
    "MoodlineConfig",
    "MoodlineModel",
    "OnnxModel",
    "Window",
    "average_windows",
    "clip_windows",
    "encode_text",
    "export_onnx",
    "load_model",
    "load_tokenizer",
    "open_version",
    "predict",
    "turn_measures",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
