"""Triton on the cluster: closed, with its models, on processors and on GPUs."""

import re

import pytest

from components.config import Engines
from serving.settings import HostSettings
from serving.triton.replicas import addresses
from tests.infra.conftest import OVERLAYS, OWN_TRITON
from tests.infra.manifests import (
    SERVERS,
    Documents,
    config,
    named,
    of_kind,
    pod,
)


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "example"])
def test_what_triton_serves_is_there_on_an_empty_volume(
    overlays: dict[str, Documents], overlay: str
) -> None:
    """Kubelet makes a subpath only where it may write; Triton itself may only read."""
    spec = pod(named(overlays[overlay], "StatefulSet", "triton"))["spec"]
    (first,), (triton,) = spec["initContainers"], spec["containers"]
    (whole,) = (m for m in first["volumeMounts"] if m["name"] == "state")
    (part,) = (m for m in triton["volumeMounts"] if m["name"] == "state")
    assert part["readOnly"] is True
    assert f"{whole['mountPath']}/{part['subPath']}" == part["mountPath"] == first["command"][-1]
    (claim,) = (v["persistentVolumeClaim"] for v in spec["volumes"] if v["name"] == "state")
    assert "readOnly" not in claim


def test_on_a_gpu_the_repository_is_for_it_and_engines_have_room(
    overlays: dict[str, Documents],
) -> None:
    settings = config(overlays["gpu"], "moodline-settings")
    assert HostSettings(gpu=settings["data"]["MOODLINE_TRITON_GPU"]).gpu is True
    (container,) = pod(named(overlays["gpu"], "StatefulSet", "triton"))["spec"]["containers"]
    assert container["image"].startswith("nvcr.io/nvidia/tritonserver:")
    (repository,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "state")
    assert f"--model-repository={repository}" in container["args"]


def test_every_triton_reads_the_engines_that_one_has_made(overlays: dict[str, Documents]) -> None:
    """They share one volume, of one image's engines, at the folder that the service writes into
    their configuration; and the service cleans up there."""
    documents = overlays["gpu"]
    claims, places, images = set(), set(), set()
    for kind, name in (
        ("StatefulSet", "triton"),
        ("Deployment", "triton-engines"),
        ("Deployment", "moodline"),
    ):
        spec = pod(named(documents, kind, name))["spec"]
        (volume,) = (v for v in spec["volumes"] if v["name"] == "engines")
        (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "engines")
        assert not mount.get("readOnly")
        claims.add(volume["persistentVolumeClaim"]["claimName"])
        places.add(mount["mountPath"])
        images.add(spec["containers"][0]["image"])
    (claim,), (place,) = claims, places
    assert len(images) == 2, "the Tritons are of one release: another one's engines cannot be read"
    assert place == HostSettings().tensorrt_cache == Engines(tritons=("t:1",)).cache
    volume = named(documents, "PersistentVolumeClaim", claim)["spec"]
    assert volume["accessModes"] == ["ReadWriteMany"]


def test_triton_has_no_http_and_is_no_older_than_its_mended_faults(
    overlays: dict[str, Documents],
) -> None:
    for name in OVERLAYS:
        documents = overlays[name]
        ports = {p["name"] for p in named(documents, "Service", "triton")["spec"]["ports"]}
        assert ports == {"grpc", "metrics"}
    for name in OWN_TRITON:
        (container,) = pod(named(overlays[name], "StatefulSet", "triton"))["spec"]["containers"]
        if container["image"].startswith("nvcr.io"):
            year, month = re.findall(r":(\d+)\.(\d+)-", container["image"])[0]
            assert (int(year), int(month)) >= (26, 6)
            assert {"--allow-http=false", "--strict-readiness=false"} <= {*container["args"]}


def test_triton_grows_with_the_wait_in_its_queue(with_triton: Documents) -> None:
    scaled = named(with_triton, "ScaledObject", "triton")
    (trigger,) = scaled["spec"]["triggers"]
    assert "nv_inference_queue_duration_us" in trigger["metadata"]["query"]
    least, most = scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]
    assert most > least >= 2
    # Where Prometheus is away there are enough, and it is not asked once only.
    assert least <= scaled["spec"]["fallback"]["replicas"] <= most
    assert scaled["spec"]["fallback"]["failureThreshold"] > 1


def test_the_service_knows_every_triton_that_there_can_be(with_triton: Documents) -> None:
    settings = config(with_triton, "moodline-settings")
    triton, service = (
        named(with_triton, "StatefulSet", "triton"),
        named(with_triton, "Service", "triton"),
    )
    (grpc,) = (port["port"] for port in service["spec"]["ports"] if port["name"] == "grpc")
    assert triton["spec"]["serviceName"] == "triton"
    assert service["spec"]["publishNotReadyAddresses"] is True
    scaled = named(with_triton, "ScaledObject", "triton")
    names = [f"triton-{i}.triton:{grpc}" for i in range(scaled["spec"]["maxReplicaCount"])]
    assert list(addresses(settings["data"]["MOODLINE_TRITON_URL"])) == names


def test_only_the_gpu_overlay_asks_for_gpus(overlays: dict[str, Documents]) -> None:
    def gpus(name: str) -> set[str]:
        return {
            deployment["metadata"]["name"]
            for deployment in of_kind(overlays[name], *SERVERS)
            for container in pod(deployment)["spec"]["containers"]
            if "nvidia.com/gpu" in container["resources"]["limits"]
        }

    assert gpus("cpu") == set()
    assert gpus("gpu") == {"moodline", "triton", "triton-engines"}
    for kind, name in (
        ("Deployment", "moodline"),
        ("Deployment", "triton-engines"),
        ("StatefulSet", "triton"),
    ):
        spec = pod(named(overlays["gpu"], kind, name))["spec"]
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec[
            "tolerations"
        ]
