"""A model version: one folder with everything that serving, checking and watching it needs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import atomic_path
from components.config import MODEL_REVISIONS, SPEECH_MODELS, TrainStep
from components.conversation import SAMPLE_RATE
from components.fusion import Clip, clip_windows, load_tokenizer
from components.fusion.prediction import answer_batch
from components.fusion.probe import PROBE, Probe
from components.scoring import Temperature
from components.train.card import model_card
from components.train.data import Sound, Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from components.fusion.model import MoodlineModel
    from components.train.answering import Answers

History = list[dict[str, float]]
"""One entry an epoch: losses, learning rate, the validation's scores."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A model version and how it came about.

    Attributes:
        model: its folder.
        digest: of the folder's files; the same for the same examples, profile and machine.
        best_epoch: the one whose weights were kept, by the validation part.
        validation: that epoch's scores on the validation fold.
        temperature: that makes the version as sure as it is right, fitted on the validation fold.
        training_examples: how many of each emotion were fitted.
        validation_examples: how many of each emotion chose the epoch.
    """

    model: Path
    digest: str
    history: History
    best_epoch: int
    validation: dict[str, float]
    training_examples: dict[str, int]
    validation_examples: dict[str, int]
    temperature: float = 1.0


def best_entry(history: History, metric: str = "macro_f1") -> dict[str, float]:
    """The first epoch with the highest macro F1, or the lowest loss, on the validation part.

    A model that grows too sure of its few errors has its lowest loss long before its best answers;
    one that does not is chosen better by its loss, which a few examples move less.
    """
    sign = -1 if metric == "loss" else 1
    return max(history, key=lambda entry: sign * entry[f"validation_{metric}"])


def validation_scores(history: History, metric: str = "macro_f1") -> dict[str, float]:
    """The best epoch's scores on the validation part."""
    prefix, best = "validation_", best_entry(history, metric)
    return {k.removeprefix(prefix): v for k, v in best.items() if k.startswith(prefix)}


def write_version(
    out_dir: Path,
    *,
    model: "MoodlineModel",
    history: History,
    answers: "Answers",
    measures: Mapping[str, np.ndarray],
    split: Split,
    sound: Sound,
    profile: TrainStep,
    speech: Mapping[str, str],
    revisions: Mapping[str, str],
    acoustic: str,
    text: str,
    temperature: Temperature,
    probe: Probe,
) -> None:
    """Write the version's folder, whole or not at all.

    It holds `config.json`, `model.safetensors`, the tokenizer's and the preprocessor's files,
    `model.onnx`, `golden.safetensors`, `drift_reference.parquet`, `probe.safetensors`,
    `history.json`, `profile.json`, `speech_models.json`, `model_revisions.json`, `data.json`
    (examples by licence, set, language) and `model_card.md`. No file holds a time or a path, so the
    same training gives the same folder.

    Args:
        answers, measures: the fitted model's answers on the split's sample, and what else is
            known of those turns; see `write_drift_reference`.
        speech: the digest of each speech model that the examples came from, by name.
        revisions: of all models, see `model_revisions`.
        acoustic, text: each encoder's folder or hub name, where its preprocessor or tokenizer is.
        temperature: the model's, which its answers already have, and how it was fitted.
        probe: fitted to the same examples.
    """
    from transformers import AutoFeatureExtractor, AutoTokenizer

    from components.fusion.export import export_onnx

    model = model.eval()
    with atomic_path(out_dir) as folder:
        folder.mkdir()
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(text).save_pretrained(folder)
        AutoFeatureExtractor.from_pretrained(acoustic).save_pretrained(folder)
        tokenizer = load_tokenizer(folder)
        export_onnx(model, folder / "model.onnx")
        write_golden(model, tokenizer, folder / "golden.safetensors")
        write_drift_reference(
            answers.probabilities(temperature.value),
            answers.embedding,
            measures,
            split.sample,
            folder / "drift_reference.parquet",
        )
        probe.save(folder / PROBE)
        metric = profile.train.metric_for_best_model
        best, scores = int(best_entry(history, metric)["epoch"]), validation_scores(history, metric)
        _write_json(
            folder / "history.json",
            {"best_epoch": best, "epochs": history, "temperature": asdict(temperature)},
        )
        _write_json(folder / "profile.json", profile.model_dump(mode="json"))
        _write_json(folder / SPEECH_MODELS, dict(speech))
        _write_json(folder / MODEL_REVISIONS, dict(revisions))
        origins = sound.origins(split.rows)
        _write_json(folder / "data.json", origins)
        card = model_card(
            profile,
            split,
            best_epoch=best,
            epochs=len(history),
            validation=scores,
            origins=origins,
            temperature=temperature,
        )
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        for path in folder.iterdir():
            # safetensors writes for the owner alone; servers run as someone else.
            path.chmod(0o644)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def golden_clips() -> list[Clip]:
    """Synthetic clips: no person's voice is part of a model."""
    rng = np.random.default_rng(7)

    def tone(seconds: float, pitch: float) -> np.ndarray:
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
        clean = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6))
        return (0.1 * swell * clean + 0.01 * rng.standard_normal(len(time))).astype(np.float32)

    return [
        (np.zeros(1, dtype=np.float32), ""),
        (tone(0.4, 210.0), "No!"),
        (tone(2.5, 120.0), "I don't know what to tell you any more."),
        (np.zeros(SAMPLE_RATE, dtype=np.float32), "We won, we really won!"),
        (tone(7.3, 165.0), "The meeting is on Thursday at ten, and the room is the usual one."),
    ]


def write_golden(model: "MoodlineModel", tokenizer: "Tokenizer", path: Path) -> None:
    """Write inputs with the answers that this model must give, so that any server can be checked.

    Each answer is computed alone. The file holds `audio.<i>` float32 [samples] and `input_ids.<i>`
    int64 [tokens] for each clip i, and for all of them `probabilities` float32 [n, k] and
    `embedding` float32 [n, d].
    """
    from safetensors.numpy import save_file

    arrays, answers = {}, []
    limits = (model.config.max_samples, model.config.max_tokens)
    for i, clip in enumerate(golden_clips()):
        window = clip_windows([clip], tokenizer, *limits)[0]
        arrays[f"audio.{i}"] = window.audio
        arrays[f"input_ids.{i}"] = np.array(window.input_ids, dtype=np.int64)
        answers.append(answer_batch(model, [window])[0])
    table = np.stack(answers).astype(np.float32)
    count = len(model.config.labels)
    arrays["probabilities"] = np.ascontiguousarray(table[:, :count])
    arrays["embedding"] = np.ascontiguousarray(table[:, count:])
    save_file(arrays, path)


def write_drift_reference(
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    measures: Mapping[str, np.ndarray],
    split: Split,
    path: Path,
) -> None:
    """Write what the examples looked like to the model: later traffic is compared with it.

    The file is Parquet with one row an example. Its columns: `part` ("training" or
    "validation"; a model is surer of what it was fitted to, so compare confidence with the
    validation part), `recording`, `label`, `emotion` (the answer), `confidence`, `probabilities`
    (list of k), `embedding` (list of d), the measures of `components.fusion.turn_measures` and
    `asr_confidence` (null where not known).

    Args:
        probabilities, embeddings: [n, k] and [n, d], of each training, then each validation
            example.
        measures: each [n].
        split: of a large corpus a sample, `Split.sample`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = split.rows
    parts = ["training"] * len(split.training) + ["validation"] * len(split.validation)
    labels = split.labels

    def lists(table: np.ndarray) -> pa.ListArray:
        bounds = np.arange(len(table) + 1, dtype=np.int32) * table.shape[1]
        return pa.ListArray.from_arrays(bounds, pa.array(table.ravel(), pa.float32()))

    columns = {
        "part": parts,
        "recording": [row.recording for row in rows],
        "label": [labels[row.label] for row in rows],
        "emotion": [labels[i] for i in probabilities.argmax(axis=1)],
        "confidence": pa.array(probabilities.max(axis=1), pa.float32()),
        "probabilities": lists(probabilities.astype(np.float32)),
        "embedding": lists(embeddings.astype(np.float32)),
        **{name: pa.array(values, pa.float32()) for name, values in measures.items()},
        "asr_confidence": pa.array([row.asr_confidence for row in rows], pa.float32()),
    }
    pq.write_table(pa.table(columns), path)
