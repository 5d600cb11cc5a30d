"""The Kubeflow Pipelines component `engines`."""

from kfp import dsl

from components.config import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def engines(
    model: dsl.Input[dsl.Model],
    settings: str,
    metrics: dsl.Output[dsl.Metrics],
    version: int = 0,
    pipeline_run: str = "",
) -> str:
    """A model's TensorRT engines, made by the Tritons that are named; what they are off by.

    The engines stay where those Tritons keep them, which those that serve read from.

    Args:
        settings: `components.config.Engines`, as JSON.
        version: the model's, whose evidence then says that the pipeline's run made them: the last
            step, `finish`, is told of no step that failed. 0: none.
    """
    import json
    from pathlib import Path

    from components.config import Engines, Settings
    from components.register import note_engines
    from serving.settings import HostSettings
    from serving.triton.engines import make_engines

    wanted = Engines.model_validate_json(settings)
    host = HostSettings(instances=1, gpu=wanted.tensorrt, tensorrt_cache=wanted.cache)
    offs = make_engines(Path(model.path), wanted.tritons, host)
    Path(metrics.path).write_text(json.dumps(offs), encoding="utf-8")
    metrics.log_metric("golden_difference", max(offs.values()))
    if version:
        note_engines(version, pipeline_run, Settings())
    return json.dumps(offs)
