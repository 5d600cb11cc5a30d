"""The version's linear probe on the same turns: what a straight line would have answered."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.base import InputError, read_json, validate
from components.config import Settings, TrainStep, resolve_model
from components.conversation import Recording, Turn
from components.evaluate.measure import Measurement, measure
from components.evaluate.slices import RATES
from components.fusion import Clip, clip_windows, load_tokenizer, turn_clip
from components.fusion.probe import PROBE, Probe, load_probe
from components.scoring import paired_bootstrap

if TYPE_CHECKING:
    from components.fusion.model import MoodlineModel


def measure_probe(
    model_dir: Path,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
    model: Measurement,
    seed: int,
    settings: Settings | None = None,
) -> dict[str, Any] | None:
    """Have the version's probe answer the turns, and compare the model with it.

    Args:
        turns: the test turns, as the model answered them.
        model: what was measured of these.
        seed: of the bootstrap.
        settings: where models are, for a fine-tuned version's pretrained encoders.

    Returns:
        Ready for JSON: `accuracy`, `uar` and `macro_f1` of the probe, `comparison` of the
        accuracies (the model's less the probe's, paired by conversation), `differing` answers, and
        whether the features are `pretrained`; or `missing`, why it cannot be asked. None of a
        version without a probe.

    Raises:
        InputError: a probe that cannot be read.
    """
    if not (model_dir / PROBE).is_file():
        return None
    probe = load_probe(model_dir / PROBE)
    try:
        encoders = probe_encoders(model_dir, probe, settings or Settings())
    except InputError as error:
        return {"missing": f"its encoders are not here: {error}"}
    answered = _answers(probe, encoders, model_dir, recordings, turns)
    probed = measure(recordings, answered, seed, labels=probe.labels)
    accuracy = RATES["accuracy"]
    comparison = paired_bootstrap(model.confusions, probed.confusions, accuracy, seed=seed)
    return {
        **{name: probed.metrics[name] for name in ("accuracy", "uar", "macro_f1")},
        "comparison": comparison.to_json(),
        "differing": sum(a != b for a, b in zip(model.answers, probed.answers, strict=True)),
        "pretrained": probe.pretrained,
    }


def probe_encoders(model_dir: Path, probe: Probe, settings: Settings) -> "MoodlineModel":
    """The model whose encoders a version's probe was fitted on.

    It is the version itself, unless the probe is of the encoders as they were before fine-tuning:
    then the head is a fresh one, and not to be used.

    Raises:
        InputError: these encoders are not at hand.
    """
    import torch

    from components.fusion.model import MoodlineModel, load_model

    if probe.pretrained:
        written = read_json(model_dir / "profile.json")
        fusion = validate(TrainStep, written, "profile.json").fusion
        names = (resolve_model(name, settings) for name in (fusion.acoustic, fusion.text))
        head = fusion.model_dump(exclude={"acoustic", "text"})
        model = MoodlineModel.from_encoders(*names, **head)
    else:
        model = load_model(model_dir)
    torch.nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu")
    return model.eval()


def _answers(
    probe: Probe,
    encoders: "MoodlineModel",
    model_dir: Path,
    recordings: Sequence[Recording],
    turns: Sequence[Turn],
) -> list[Turn]:
    tokenizer, limits = load_tokenizer(model_dir), encoders.config
    audio = {recording.name: recording.audio for recording in recordings}

    def features(clip: Clip) -> np.ndarray:
        windows = clip_windows([clip], tokenizer, limits.max_samples, limits.max_tokens)
        each = [w.weight * probe_features(encoders, w.audio, w.input_ids) for w in windows]
        return np.sum(each, axis=0)

    answered = []
    for turn in turns:
        row = probe(features(turn_clip(audio[turn.session_id], turn))[None])[0]
        answered.append(turn.answered(row, probe.labels))
    return answered


def probe_features(
    model: "MoodlineModel", audio: np.ndarray, input_ids: Sequence[int]
) -> np.ndarray:
    """The probe's features of one window: [samples] and [tokens] → float32 [f]."""
    import torch

    def one(values: Any) -> Any:
        return torch.as_tensor(values, device=model.device)[None]

    with torch.inference_mode():
        lengths = (torch.tensor([n], device=model.device) for n in (len(audio), len(input_ids)))
        samples, tokens = lengths
        _, probe = model.encode_and_probe(one(audio), samples, one(input_ids), tokens)
    return probe[0].float().cpu().numpy()
