"""A model's folder as an MLflow model: signature, example, code, evidence, and no pickle."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, link_or_copy
from components.conversation import SAMPLE_RATE

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

CARD = "model_card.md"
"""In a model's folder what training knew; in the evidence with the test fold's numbers too."""

MODEL_FILES = ("config.json", "model.safetensors", "model.onnx", "tokenizer.json",
               "preprocessor_config.json", "golden.safetensors", "drift_reference.parquet",
               CARD)  # fmt: skip
"""What a model's folder must hold before it may be registered."""

MODEL_FOLDER = "artifacts/model"
"""Where the model's folder stands in the package."""

VERDICT_FILE = "artifacts/evidence/verdict.json"
"""Where the gate's verdict stands in the package."""

_REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas", "tokenizers")


def check_model_folder(folder: Path) -> None:
    """See that a folder is a whole model.

    Raises:
        InputError: not a folder, or without one of its files.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a model's folder")
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: is not a whole model: {', '.join(missing)} missing")


@contextmanager
def model_package(model: Path, evidence: Path) -> Iterator[Path]:
    """Pack a model's folder as an MLflow pyfunc model, in a temporary folder.

    Args:
        evidence: a folder named `evidence`, with the files that go with the model.

    Yields:
        The package; it is gone after the block.
    """
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="moodline-register-") as name:
        folder = Path(name)
        # MLflow names an artifact after its folder, and ours must be found again by its name.
        shutil.copytree(model, folder / "model", copy_function=link_or_copy)
        mlflow.pyfunc.save_model(
            folder / "package",
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"model": str(folder / "model"), "evidence": str(evidence)},
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        )
        yield folder / "package"


def _signature() -> "ModelSignature":
    """A turn's sound and words → its emotion, probabilities and embedding."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Schema

    numbers, text = Array(DataType.double), DataType.string
    outputs = [ColSpec(numbers, "probabilities"), ColSpec(numbers, "embedding")]
    return ModelSignature(
        Schema([ColSpec(numbers, "audio"), ColSpec(text, "text")]),
        Schema([ColSpec(text, "emotion"), *outputs]),
    )


def _example() -> "pd.DataFrame":
    """Half a second of a 220 Hz tone, and words; rounded, as it is kept as text."""
    import numpy as np
    import pandas as pd

    tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE)
    return pd.DataFrame({"audio": [tone.round(4).tolist()], "text": ["how are you today"]})
