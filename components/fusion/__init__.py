"""The bimodal model: a speech encoder and a text encoder, fused by gated cross-attention.

One clip is a turn's waveform and its words; one answer is a probability of each label and the fused
vector. The model, its windows and its tokens are the same in training, evaluation and serving.

These names need no torch: a version's graph is served without it. What needs it stands in modules
of its own: `fusion.model` (`MoodlineModel`, `load_model`), `fusion.config` and `fusion.export`.
"""

from components.fusion.measures import turn_measures
from components.fusion.onnx_model import OnnxModel
from components.fusion.prediction import Classifier, predict
from components.fusion.tokens import load_tokenizer
from components.fusion.windows import Clip, Window, average_windows, clip_windows, turn_clip
