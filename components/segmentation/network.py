"""Segmentation networks without pyannote's checkpoints: their weights are safetensors."""

from pathlib import Path
from typing import Any, TypeVar

from pyannote.audio import Inference, Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from safetensors.torch import load_file

from components.base import InputError, parse_yaml, read_text
from components.segmentation.sliding import Segmentation

WEIGHTS = "model.safetensors"

AnyModel = TypeVar("AnyModel", bound=Model)


def segmenter(
    architecture: dict[str, Any],
    chunk_seconds: float,
    local_speakers: int,
    at_once: int | None = None,
) -> PyanNet:
    """A segmentation model without weights.

    Args:
        architecture: the arguments of `PyanNet`.
        chunk_seconds: the length of the chunks that it hears.
        local_speakers: how many speakers it tells apart within a chunk.
        at_once: it chooses among the sets of at most so many speakers; None: it tells of each
            speaker whether they speak.
    """
    model = PyanNet(**architecture)
    problem = Problem.MONO_LABEL_CLASSIFICATION if at_once else Problem.MULTI_LABEL_CLASSIFICATION
    model.specifications = Specifications(
        problem=problem,
        resolution=Resolution.FRAME,
        duration=chunk_seconds,
        classes=[f"speaker#{number + 1}" for number in range(local_speakers)],
        powerset_max_classes=at_once,
        permutation_invariant=True,
    )
    model.build()
    return model


def load_weights(model: AnyModel, location: dict[str, Any]) -> AnyModel:
    """Fill a model with the weights of its folder, as pyannote names it.

    Raises:
        RuntimeError: they are another model's.
    """
    folder = Path(location["checkpoint"]) / (location["subfolder"] or "")
    model.load_state_dict(load_file(folder / WEIGHTS), strict=True)
    return model.eval()


def open_segmentation(pipeline: Path, device: str) -> Segmentation:
    """The segmentation network of a prepared diarization pipeline.

    Args:
        pipeline: its folder, which holds `config.yaml` and `segmentation/`.
        device: "cpu" or "cuda".

    Raises:
        InputError: it is no such folder.
    """
    import torch

    config = pipeline / "config.yaml"
    read = parse_yaml(read_text(config), str(config))
    try:
        params = read["pipeline"]["params"]
        step, batch = params["segmentation_step"], params["segmentation_batch_size"]
        names = ("architecture", "chunk_seconds", "local_speakers", "at_once")
        model = segmenter(**{name: params[name] for name in names if name in params})
        load_weights(model, {"checkpoint": pipeline, "subfolder": "segmentation"})
    except (KeyError, TypeError, OSError, RuntimeError) as error:
        raise InputError(
            f"{pipeline}: has no segmentation network that can be read by itself"
            f" ({type(error).__name__}); transcribe.speech names a prepared pipeline, such as"
            " diarization-campplus"
        ) from None
    inference = Inference(
        model, duration=params["chunk_seconds"], step=step * params["chunk_seconds"],
        skip_aggregation=True, batch_size=batch, device=torch.device(device),
    )  # fmt: skip
    return Segmentation(inference)
