"""What the pipelines' account may do where a step makes a TrainJob: no more than it needs."""

import subprocess
from pathlib import Path

import yaml

from tests.infra import schemas
from tests.infra.manifests import named

ROOT = Path(__file__).resolve().parents[2]


def test_the_role_is_small_and_bound(models_home: Path) -> None:
    kubectl = models_home.parent / "tools" / "kubectl"
    folder = ROOT / "infra" / "kubernetes" / "training"
    built = subprocess.run([kubectl, "kustomize", folder], capture_output=True, check=True)
    documents = list(yaml.safe_load_all(built.stdout))
    for document in documents:
        schemas.check(document)
    role = named(documents, "Role", "moodline-training")
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {
        "create", "get", "delete", "list",
    }  # fmt: skip
    binding = named(documents, "RoleBinding", "moodline-training")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert subject["namespace"] == role["metadata"]["namespace"] == "kubeflow"
