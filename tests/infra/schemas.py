"""Strict checks of Kubernetes objects, custom resources too: an unknown field is an error."""

import importlib
from typing import Any

import kubernetes_validate

KUBERNETES = ("1.30", "1.34", "1.37")
"""The versions whose schemas core resources are held to."""

CUSTOM = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "monitoring.coreos.com/v1alpha1": "cloudcoil.models.prometheus_operator.v1alpha1",
}
"""The modules that hold the models of custom resources."""


def check(document: dict[str, Any]) -> None:
    """Hold an object to its schema.

    Raises:
        AssertionError, ValidationError: it has a field too many or of the wrong kind, or is of no
            known schema.
    """
    version, kind = document["apiVersion"], document["kind"]
    if version not in CUSTOM:
        assert "." not in version.split("/")[0] or version.split("/")[0].endswith(".k8s.io"), (
            f"{version} {kind}: of no schema that is known here"
        )
        for kubernetes in KUBERNETES:
            kubernetes_validate.validate(document, kubernetes, strict=True)
        return
    model = getattr(importlib.import_module(CUSTOM[version]), kind).model_validate(document)
    # The models drop what they do not know: what comes back must be what went in.
    kept = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    lost = _lost(document, kept)
    assert not lost, f"{kind} {document['metadata']['name']}: unknown: {', '.join(lost)}"


def _lost(given: Any, kept: Any, place: str = "") -> list[str]:
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            name
            for key, value in given.items()
            for name in (
                _lost(value, kept[key], f"{place}.{key}") if key in kept else [f"{place}.{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            n
            for i, pair in enumerate(zip(given, kept, strict=True))
            for n in _lost(*pair, f"{place}[{i}]")
        ]
    return []
