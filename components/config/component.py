"""The Kubeflow Pipelines component `model_digests`."""

from typing import NamedTuple

from kfp import dsl

from components.config.cluster import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def model_digests(
    profile: str,
) -> NamedTuple("Digests", transcribe=str, diarize=str, train=str):  # type: ignore[valid-type]
    """What identifies the models that a profile names, for each of the steps that load them.

    A profile holds names, so KFP's cache would take what was made by other weights of that name.
    Training loads the encoders, and writes down which speech models the examples came from.
    """
    from typing import NamedTuple

    from components.config import Settings, TrainStep, model_digest

    options, settings = TrainStep.model_validate_json(profile), Settings()
    heard = options.transcribe
    speech = None if options.by_channel else heard.speech
    words = [heard.model, heard.align_model, speech]
    encoders = [options.fusion.acoustic, options.fusion.text]

    class Digests(NamedTuple):
        transcribe: str
        diarize: str
        train: str

    transcribe = " ".join(model_digest(name, settings) for name in words if name)
    diarize = model_digest(options.diarize.pipeline, settings)
    trained = " ".join(model_digest(name, settings) for name in encoders)
    return Digests(transcribe, diarize, f"{trained} {transcribe} {diarize}")
