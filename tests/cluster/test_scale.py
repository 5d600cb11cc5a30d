"""A corpus of many recordings and speakers keeps within the limits of KFP.

128 KiB     Linux' limit for one argument of a step; `--executor_input` is one
10,000 B    of a run's parameters (backend/src/common/util/consts.go, GetMaxParameterBytes)
300         objects of an artifact: the launcher moves them one after the other
"""

import json
import shutil

import pytest

from components.config import ClusterSettings
from tests.cluster.conftest import MOUNT, VOLUME, Cluster
from tests.cluster.light import write_corpus

pytestmark = [pytest.mark.servers, pytest.mark.timeout(3600)]

ARGUMENT, PARAMETERS, OBJECTS = 128 << 10, 10_000, 300


@pytest.mark.parametrize(
    ("count", "speakers", "shards"),
    [(400, 200, 2), pytest.param(60_000, 10_000, 16, marks=pytest.mark.cluster)],
)
def test_the_light_steps_on_many_recordings(
    cluster: Cluster, count: int, speakers: int, shards: int
) -> None:
    folder = cluster.volume / f"{count}"
    write_corpus(folder, count, speakers)
    arguments = {"corpus": f"{MOUNT}/{count}", "folder": f"{MOUNT}/{count}/audio"}
    try:
        profile = cluster.profile(volume=VOLUME, shards=shards)
        run = cluster.run("tests.cluster.light:light", profile, **arguments)
    finally:
        shutil.rmtree(folder)
    assert not run.failed, run.log(run.failed)
    assert len(json.dumps(arguments)) < PARAMETERS
    objects = {
        f"{execution.task}/{name}": len(list(cluster.store.keys(cluster.store.key(made["uri"]))))
        for execution in run.executions
        for name, artifacts in execution.artifacts.items()
        for made in artifacts
    }
    assert set(objects.values()) <= set(range(1, OBJECTS + 1)), objects
    for step, result in run.results.items():  # shown by make test-cluster
        print(f"{step:20} {result.seconds:6.1f} s, longest argument {result.longest:6} bytes")
    longest = {step: result.longest for step, result in run.results.items()}
    assert max(longest.values()) < ARGUMENT / 2, longest
    assert run.results["corpus"].artifacts["manifest"]["metadata"]["speakers"] == speakers
    assert sum(run.results["label"].artifacts["examples"]["metadata"].values()) == count
    # What grows with the shards is what `align` is told of them.
    most = ClusterSettings.model_fields["shards"].metadata[-1].le
    assert longest["align"] / shards * most < ARGUMENT
