"""Inputs with the answers a version must give, so that any server of it can be checked."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from components.conversation import SAMPLE_RATE
from components.fusion import Clip, clip_windows
from components.fusion.model import MoodlineModel
from components.fusion.prediction import answer_batch


def golden_clips() -> list[Clip]:
    """Clips that are made, not recorded: no person's voice travels with a model."""
    noise = np.random.default_rng(7)

    def tone(seconds: float, pitch: float) -> np.ndarray:
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
        clean = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6))
        return (0.1 * swell * clean + 0.01 * noise.standard_normal(len(time))).astype(np.float32)

    return [
        (np.zeros(1, dtype=np.float32), ""),
        (tone(0.4, 210.0), "No!"),
        (tone(2.5, 120.0), "I don't know what to tell you any more."),
        (np.zeros(SAMPLE_RATE, dtype=np.float32), "We won, we really won!"),
        (tone(7.3, 165.0), "The meeting is on Thursday at ten, and the room is the usual one."),
    ]


def write_golden(model: MoodlineModel, tokenizer: Tokenizer, path: Path) -> None:
    """Write the golden inputs with this model's answers, each computed alone.

    The file holds `audio.<i>` float32 [samples] and `input_ids.<i>` int64 [tokens] for each clip
    i, and for all of them `probabilities` float32 [n, 4] and `embedding` float32 [n, d].
    """
    arrays, answers = {}, []
    limits = (model.config.max_samples, model.config.max_tokens)
    for i, clip in enumerate(golden_clips()):
        window = clip_windows([clip], tokenizer, *limits)[0]
        arrays[f"audio.{i}"] = window.audio
        arrays[f"input_ids.{i}"] = np.array(window.input_ids, dtype=np.int64)
        answers.append(answer_batch(model, [window])[0])
    table = np.stack(answers).astype(np.float32)
    arrays["probabilities"] = np.ascontiguousarray(table[:, :4])
    arrays["embedding"] = np.ascontiguousarray(table[:, 4:])
    save_file(arrays, path)


def read_golden(path: Path) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """Read them back.

    Returns:
        The clips' (audio, input_ids), their probabilities [n, 4] and embeddings [n, d].
    """
    arrays = load_file(path)
    count = len(arrays["probabilities"])
    clips = [(arrays[f"audio.{i}"], arrays[f"input_ids.{i}"]) for i in range(count)]
    return clips, arrays["probabilities"], arrays["embedding"]
