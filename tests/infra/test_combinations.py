"""Components that a team's overlay names together."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.conftest import KUBERNETES, Documents, build
from tests.infra.manifests import config, containers, named, of_kind, pod, same_triton
from tests.infra.schemas import check

Overlay = Callable[..., Path]


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    """Writes an overlay on a folder of infra/kubernetes, with components in that order."""

    def write(resource: str, *components: str) -> Path:
        def path(name: str) -> str:
            return os.path.relpath(KUBERNETES / name, tmp_path.resolve())

        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "moodline",
            "resources": [path(resource)],
            "components": [path(f"components/{name}") for name in components],
        }
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return tmp_path

    return write


def plain(documents: Documents, part: Any) -> Any:
    """A part of them in which the settings have their name without a digest."""
    name = config(documents, "moodline-settings")["metadata"]["name"]
    return json.loads(json.dumps(part).replace(name, "moodline-settings"))


@pytest.mark.parametrize(
    ("resource", "components"),
    [("base", ("kserve", "object-store")), ("overlays/gpu", ("object-store",))],
)
def test_with_an_object_store_each_pod_finds_all_that_it_mounts(
    models_home: Path, overlay: Overlay, resource: str, components: tuple[str, ...]
) -> None:
    documents = build(models_home, str(overlay(resource, *components)))
    claims = {d["metadata"]["name"] for d in of_kind(documents, "PersistentVolumeClaim")}
    assert "moodline-state" not in claims
    settings = {d["metadata"]["name"] for d in of_kind(documents, "ConfigMap")}
    for document in of_kind(documents, "InferenceService"):
        check(document)
    for spec, container in containers(documents):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        wanted = [v["persistentVolumeClaim"] for v in volumes.values()
                  if "persistentVolumeClaim" in v]  # fmt: skip
        assert {claim["claimName"] for claim in wanted} <= claims, container["name"]
        asked = [e["valueFrom"]["configMapKeyRef"] for e in container.get("env", [])
                 if "configMapKeyRef" in e.get("valueFrom", {})]  # fmt: skip
        asked += [e["configMapRef"] for e in container.get("envFrom", []) if "configMapRef" in e]
        assert {reference["name"] for reference in asked} <= settings, container["name"]


def test_kserve_s_triton_reads_the_store_as_ours_does(
    models_home: Path, overlay: Overlay, overlays: dict[str, Documents]
) -> None:
    documents = build(models_home, str(overlay("base", "kserve", "object-store")))
    services = of_kind(documents, "InferenceService")
    assert len(services) == 2
    stored = overlays["object-store"]
    ours = plain(stored, pod(named(stored, "StatefulSet", "triton"))["spec"])
    for service in services:
        same_triton(plain(documents, service)["spec"]["predictor"], ours)


def test_the_store_before_kserve_is_refused(models_home: Path, overlay: Overlay) -> None:
    """Its patches would come before what they patch."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        build(models_home, str(overlay("base", "object-store", "kserve")))
    assert "moodline-state" in refused.value.stderr
