"""Pipelines as pyannote publishes them, built of the demo's small models.

The folders hold what the hub's do: `config.yaml` of the class
`pyannote.audio.pipelines.SpeakerDiarization`, checkpoints in pyannote's format, a PLDA.
"""

from pathlib import Path

import numpy as np
import torch
import yaml
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.utils.powerset import Powerset
from safetensors.torch import load_file

from components.diarize.demo.resemblyzer import SIZE, Resemblyzer
from components.segmentation import WEIGHTS

MODELS = {
    "embedding": "$model/embedding",
    "embedding_batch_size": 32,
    "embedding_exclude_overlap": True,
    "plda": "$model/plda",
    "segmentation": "$model/segmentation",
    "segmentation_batch_size": 32,
}

CONFIGS = {
    "speaker-diarization-3.1": {
        "version": "3.1.0",
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {"clustering": "AgglomerativeClustering", **MODELS},
        },
        "params": {
            "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7},
            "segmentation": {"min_duration_off": 0.0},
        },
    },
    "speaker-diarization-community-1": {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {"clustering": "VBxClustering", **MODELS},
        },
        "params": {
            "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
            "segmentation": {"min_duration_off": 0.0},
        },
    },
}


def build(name: str, demo: Path, to: Path) -> None:
    """Write the pipeline `name` into the folder `to`.

    Args:
        name: of `CONFIGS`.
        demo: the folder of the demo's diarization models.
        to: the pipeline's folder.
    """
    to.mkdir(parents=True)
    (to / "config.yaml").write_text(yaml.safe_dump(CONFIGS[name]))
    write_checkpoint(powerset_segmentation(demo), to / "segmentation")
    voices = Resemblyzer()
    voices.load_state_dict(load_file(demo / "embedding" / WEIGHTS))
    write_checkpoint(voices, to / "embedding")
    write_plda(to / "plda")


def powerset_segmentation(demo: Path) -> Model:
    """The demo's segmentation model in the form of segmentation-3.0: a softmax over sets.

    The demo's tells each of three speakers apart with a sigmoid. The probability of a set of at
    most two is then proportional to exp(sum of its members' logits): one matrix product.
    """
    config = yaml.safe_load((demo / "config.yaml").read_text())["pipeline"]["params"]
    model = PyanNet(**config["architecture"])
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=config["chunk_seconds"],
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    weights = load_file(demo / "segmentation" / WEIGHTS)
    sets = Powerset(3, 2).mapping
    for part in ("weight", "bias"):
        weights[f"classifier.{part}"] = sets @ weights[f"classifier.{part}"]
    model.load_state_dict(weights, strict=False)
    return model


def write_checkpoint(model: Model, folder: Path) -> None:
    """A model as pyannote's hub folders hold it: a Lightning checkpoint that names its class."""
    folder.mkdir(parents=True)
    kind = type(model)
    torch.save(
        {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": "2.0.0",
            "pyannote.audio": {
                "versions": {"torch": "2.0.0", "pyannote.audio": "4.0.0"},
                "architecture": {"module": kind.__module__, "class": kind.__name__},
                "specifications": model.specifications,
            },
        },
        folder / "pytorch_model.bin",
    )


def write_plda(folder: Path) -> None:
    """A PLDA that keeps half of an embedding's directions and calls voices well apart."""
    folder.mkdir()
    kept = SIZE // 2
    lda = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0][:, :kept]
    np.savez(folder / "xvec_transform.npz", mean1=np.zeros(SIZE), mean2=np.zeros(kept), lda=lda)
    np.savez(folder / "plda.npz", mu=np.zeros(kept), tr=np.eye(kept), psi=np.linspace(8, 1, kept))
