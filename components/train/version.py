"""A model version: one folder with everything that serving, checking and watching it needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from components.base import atomic_path
from components.config import TrainStep
from components.fusion import load_tokenizer
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel
from components.train.card import model_card
from components.train.data import Sound, Split
from components.train.fitting import Fitted
from components.train.golden import write_golden
from components.train.reference import write_drift_reference


def write_version(
    out_dir: Path,
    model: MoodlineModel,
    fitted: Fitted,
    answers: np.ndarray,
    split: Split,
    sound: Sound,
    profile: TrainStep,
    acoustic: str,
    text: str,
) -> None:
    """Write the version's folder, whole or not at all.

    It holds `config.json`, `model.safetensors`, the tokenizer's and the preprocessor's files,
    `model.onnx`, `golden.safetensors`, `drift_reference.parquet`, `history.json`, `profile.json`
    and `model_card.md`. No file tells when or where it was made, so that the same
    training gives the same folder.

    Args:
        answers: what the fitted model says of the examples; see `write_drift_reference`.
        acoustic: the speech encoder's folder or hub name, whose preprocessor is taken along.
        text: the text encoder's, whose tokenizer is.
    """
    from transformers import AutoFeatureExtractor, AutoTokenizer

    model = model.eval()
    with atomic_path(out_dir) as folder:
        folder.mkdir()
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(text).save_pretrained(folder)
        AutoFeatureExtractor.from_pretrained(acoustic).save_pretrained(folder)
        tokenizer = load_tokenizer(folder)
        export_onnx(model, folder / "model.onnx")
        write_golden(model, tokenizer, folder / "golden.safetensors")
        write_drift_reference(answers, split, sound, folder / "drift_reference.parquet")
        _write_json(
            folder / "history.json", {"best_epoch": fitted.best_epoch, "epochs": fitted.history}
        )
        _write_json(folder / "profile.json", profile.model_dump(mode="json"))
        card = model_card(profile, fitted, split)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        for path in folder.iterdir():
            # safetensors writes for the owner alone; servers run as someone else.
            path.chmod(0o644)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
