"""Strict checks of Kubernetes objects, custom resources too: an unknown field is an error.

A CRD's rules in CEL (`x-kubernetes-validations`) are not evaluated.
"""

import importlib
import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
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
    if (name := f"{version} {kind}") in _definitions():
        jsonschema.Draft202012Validator(_definitions()[name]).validate(document)
        # A CRD leaves the metadata to the API server.
        same = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": document["metadata"]}
        kubernetes_validate.validate(same, KUBERNETES[-1], strict=True)
        return
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


@cache
def _definitions() -> dict[str, dict[str, Any]]:
    """The schemas of tests/data/crds.json.xz, by "group/version Kind", closed to unknown fields."""
    packed = (Path(__file__).parents[1] / "data" / "crds.json.xz").read_bytes()
    definitions = json.loads(lzma.decompress(packed))
    return {name: _closed(entry["schema"], top=True) for name, entry in definitions.items()}


def _closed(schema: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """The schema, where a field that the API server would drop is an error.

    Rules beside the structure (`anyOf` and the like) name some fields, not all: they stay.
    """
    closed = dict(schema)
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = _closed(schema["additionalProperties"])
    properties = {name: _closed(part) for name, part in schema.get("properties", {}).items()}
    if properties:
        closed["properties"] = properties
    if top:
        properties["metadata"] = {"type": "object"}
    kept = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and not kept and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


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
