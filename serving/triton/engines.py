"""Have a version's engines made, and the version proven, before it is promoted.

An engine is read only by the very builds of onnxruntime, CUDA and TensorRT that made it, on a GPU
like the one it was made on. So it is made by the Triton that will read it: by one of the same image
that shares the folder of engines with those that serve. It is sent the version's files, loads them
(which makes the engine), answers the golden clips, and forgets them. The engine stays.
"""

import logging
import uuid
from pathlib import Path

from components.base import InputError, Unavailable
from components.config import ServingSettings, version_serving
from serving.errors import NotReadyError
from serving.settings import HostSettings
from serving.triton.control import Golden, TritonControl, read_golden
from serving.triton.gpu import broken_engine, graph_model
from serving.triton.repository import (
    BACKEND,
    graph_files,
    graph_widths,
    model_config,
    model_graph_config,
)

logger = logging.getLogger(__name__)


def make_engines(model_dir: Path, urls: tuple[str, ...], host: HostSettings) -> dict[str, float]:
    """Have each of these Tritons make a version's engine, and prove the version there.

    An engine that is there already is used as it is. Without a GPU no engine is made; the version
    is proven all the same.

    Args:
        model_dir: the version's folder.
        urls: host:port of their gRPC, one for each kind of GPU.
        host: how Triton runs the model, and where it keeps engines.

    Returns:
        For each Triton the largest difference from a golden probability.

    Raises:
        InputError: the folder is incomplete, or a Triton answers wrongly or cannot load it.
        Unavailable: one does not answer.
    """
    serving = version_serving(model_dir) if host.gpu else ServingSettings()
    golden = read_golden(model_dir, serving)
    offs: dict[str, float] = {}
    for url in urls:
        control = TritonControl(url, load_seconds=host.load_seconds)
        try:
            if not control.alive():
                raise Unavailable(f"the Triton at {url}, which makes engines, does not answer")
            offs[url] = _prove(control, model_dir, host, serving, golden)
        except NotReadyError as error:
            broken = broken_engine(str(error))
            advice = f"; delete {broken} there" if broken else ""
            raise InputError(
                f"the Triton at {url} cannot serve the model in {serving.precision}:"
                f" {error}{advice}"
            ) from error
        finally:
            control.close()
        logger.info("%s answers the golden clips, off by %.1e", url, offs[url])
    return offs


def _prove(
    control: TritonControl,
    model_dir: Path,
    host: HostSettings,
    serving: ServingSettings,
    golden: list[Golden],
) -> float:
    # Nobody else's: two runs may be at it, and the last to end would unload what the other asks.
    asked = f"moodline_proof_{uuid.uuid4().hex[:12]}"
    graph = graph_model(f"{asked}_1")
    graphs = {f"1/{name}": path for name, path in graph_files(model_dir).items()}
    config = model_config(asked, host, graph_widths(model_dir), [1], graph_model(asked))
    models = {asked: (config, {"1/model.py": BACKEND} | ({} if host.gpu else graphs))}
    if host.gpu:
        text = model_graph_config(graph, model_dir, host, serving, control.release())
        models = {graph: (text, graphs)} | models
    loaded: list[str] = []
    try:
        for name, (text, files) in models.items():
            control.load_files(name, text, files)
            loaded.append(name)
        return control.prove(1, golden, model=asked)
    finally:
        if loaded and control.alive():
            control.unload(*reversed(loaded))
