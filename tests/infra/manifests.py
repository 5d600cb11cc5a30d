"""The objects in the manifests: found by kind and name, and their pods."""

from collections.abc import Iterator
from typing import Any

Documents = list[dict[str, Any]]


SERVERS = ("Deployment", "StatefulSet")
WORKLOADS = {*SERVERS, "CronJob", "InferenceService"}


def of_kind(documents: Documents, *kinds: str) -> Documents:
    """The objects of these kinds."""
    return [d for d in documents if d["kind"] in kinds]


def named(documents: Documents, kind: str, name: str) -> dict[str, Any]:
    """The one object of that kind and name."""
    (document,) = (d for d in of_kind(documents, kind) if d["metadata"]["name"] == name)
    return document


def config(documents: Documents, name: str) -> dict[str, Any]:
    """The one generated ConfigMap of that name, behind which kustomize puts a digest."""
    (document,) = (
        d for d in of_kind(documents, "ConfigMap")
        if d["metadata"]["name"].rpartition("-")[0] == name
    )  # fmt: skip
    return document


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a workload; KServe makes one of a predictor."""
    spec = workload["spec"]
    if workload["kind"] == "InferenceService":
        predictor = spec["predictor"]
        return {"metadata": {"labels": predictor["labels"]}, "spec": predictor}
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]


def containers(documents: Documents) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every container, with the specification of its pod."""
    for workload in of_kind(documents, *WORKLOADS):
        spec = pod(workload)["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            yield spec, container


def matches(selector: dict[str, Any], template: dict[str, Any]) -> bool:
    """Whether a selector selects a pod template."""
    labels = template["metadata"]["labels"]
    return selector.get("matchLabels", selector).items() <= labels.items()


def same_triton(predictor: dict[str, Any], ours: dict[str, Any]) -> None:
    """Hold the predictor of an InferenceService to the pod of a Triton of our own.

    Raises:
        AssertionError: they differ in more than KServe asks for.
    """
    (theirs,), (own,) = predictor["containers"], ours["containers"]
    for part in ("initContainers", "securityContext", "topologySpreadConstraints"):
        assert predictor[part] == ours[part], part
    volumes = [{volume["name"]: volume for volume in spec["volumes"]} for spec in (predictor, ours)]
    assert volumes[0] == volumes[1]
    differing = {name for name in own.keys() | theirs if theirs.get(name) != own.get(name)}
    assert differing <= {"name", "ports"}
    ports = [{k: p[k] for k in ("name", "containerPort")} for p in theirs["ports"]]
    assert ports == own["ports"]
