"""A TrainJob held strictly to the API of a Kubeflow Trainer, from 2.0 to 2.3."""

import json
from typing import Any

from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from pydantic import BaseModel, ConfigDict


class Old(BaseModel):
    """Types of older Trainers, field by field: pkg/apis/trainer/v1alpha1/trainjob_types.go.

    What is in volumes and the like is Kubernetes', the same as in the newest form.
    """

    model_config = ConfigDict(extra="forbid")


class TargetJob(Old):
    name: str


class ContainerOverride(Old):
    name: str
    volumeMounts: list[Any]


class Overrides20(Old):
    """`PodSpecOverride` at v2.0.0, as far as it is used."""

    targetJobs: list[TargetJob]
    serviceAccountName: str | None = None
    nodeSelector: dict[str, str] | None = None
    tolerations: list[Any] | None = None
    volumes: list[Any] | None = None
    containers: list[ContainerOverride] | None = None


class Spec21(Old):
    """`PodTemplateSpecOverride` at v2.1.0, likewise."""

    serviceAccountName: str | None = None
    nodeSelector: dict[str, str] | None = None
    tolerations: list[Any] | None = None
    volumes: list[Any] | None = None
    containers: list[ContainerOverride] | None = None
    imagePullSecrets: list[Any] | None = None


class Overrides21(Old):
    """`PodTemplateOverride` at v2.1.0."""

    targetJobs: list[TargetJob]
    spec: Spec21


OLD: dict[str, tuple[str, type[BaseModel]]] = {
    "2.0": ("podSpecOverrides", Overrides20),
    "2.1": ("podTemplateOverrides", Overrides21),
}

_SINCE_2_2 = ("runtimePatches", "activeDeadlineSeconds")


def known(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the newest API's models make of a manifest: they drop what they do not know."""
    job = TrainerV1alpha1TrainJob.from_dict(manifest)
    assert job is not None
    return json.loads(job.to_json())


def check(manifest: dict[str, Any], trainer: str) -> None:
    """Hold a manifest to the API of a version.

    Raises:
        ValueError: it has a field that this version does not know.
    """
    spec = dict(manifest["spec"])
    if trainer in OLD:
        for name in _SINCE_2_2:
            if name in spec:
                raise ValueError(f'strict decoding error: unknown field "spec.{name}"')
        field, kind = OLD[trainer]
        for override in spec.pop(field, ()):
            kind.model_validate(override)
    rest = {**manifest, "spec": spec}
    if known(rest) != rest:
        lost = sorted(spec.keys() - known(rest)["spec"].keys())
        raise ValueError(f'strict decoding error: unknown field "spec.{", ".join(lost)}"')
