"""Models in a registry, for what follows it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from components.config import Settings, load_profile
from components.register import Lineage, register
from tests.components.register.conftest import write_evidence


def as_version(folder: Path) -> Path:
    """What a registry asks of a model's folder, beside what Triton needs."""
    (folder / "config.json").write_text(json.dumps({"model_type": "moodline"}))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "model_card.md").write_text("# Moodline\n\n## Not to be used\n\n- At work.\n")
    save_file({"weights": np.zeros(1, "f4")}, folder / "model.safetensors")
    pq.write_table(pa.table({"emotion": ["sad"]}), folder / "drift_reference.parquet")
    return folder


def add(folder: Path, settings: Settings) -> int:
    """Register a model's folder; its version."""
    evidence = write_evidence(folder.with_name(f"{folder.name}-papers"), folder)
    lineage = Lineage("0123abcd", "corpus", load_profile("tiny"))
    return register(folder, **evidence, lineage=lineage, settings=settings)
