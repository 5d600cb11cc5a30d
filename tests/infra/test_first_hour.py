"""An empty cluster's first hour: each command of the manifests, as its pod starts it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import pytest

from components.base import Url
from tests.cluster.conftest import give
from tests.cluster.forward import Service
from tests.cluster.pods import ROOT, Ended, Namespaces, Pod
from tests.components.register.stores import BUCKET, simulated_s3
from tests.infra.manifests import Documents, named, of_kind, pod

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

PROBES = ("startup", "readiness", "liveness")
TOKEN = "/var/run/secrets/kubeflow/pipelines"
"""The kubelet fills it; no Kubeflow is asked here."""

SECRETS = {
    "moodline": {"MOODLINE_FEEDBACK_URL": "sqlite:////tmp/log.db"},
    "moodline-trigger": {
        "MOODLINE_TRIGGER_TOKEN": "a-token-that-nobody-guesses",
        "MOODLINE_TRIGGER_URL": "sqlite:////tmp/trigger.db",
        "MOODLINE_KFP_HOST": "http://ml-pipeline.kubeflow:8888",
    },
}
ACCOUNT = {
    "token": "a-token",
    "ca.crt": Path(certifi.where()).read_text(encoding="utf-8"),
    "namespace": "moodline",
}
"""What the kubelet puts into the volume `api-token`. No version is there to be steered, so no API
server is asked."""

API_SERVER = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}

PLACES = {"MOODLINE_MLFLOW_URI": "sqlite:////tmp/mlflow.db"}
"""An empty registry without a server, in place of the one that the manifests name."""

KUBELET = """
import json, subprocess, sys, time, urllib.error, urllib.request

def ask(probe):
    url = f"http://127.0.0.1:{probe['port']}{probe['path']}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)

startup, ready, live = json.loads(sys.argv[1])
process = subprocess.Popen(sys.argv[2:])
end = time.monotonic() + 120
while ask(startup)[0] != 200 and process.poll() is None and time.monotonic() < end:
    time.sleep(0.3)
answers = [ask(ready), ask(live), process.poll()]
process.terminate()
process.wait(60)
print("\\nPROBES" + json.dumps(answers), flush=True)
"""
"""Starts a container's command, waits as its startup probe does, and puts the two other probes."""


@pytest.fixture(scope="module")
def pods(models_home: Path) -> Iterator[Namespaces]:
    with tempfile.TemporaryDirectory(prefix="moodline-day-one-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        namespaces = Namespaces(folder / "pods", [], {"/opt/moodline/models": models_home})
        namespaces.check()
        yield namespaces


def run(
    pods: Namespaces,
    folder: Path,
    documents: Documents,
    kind: str,
    name: str,
    part: str = "containers",
) -> Ended:
    """The one container of a workload with the settings and files that its manifest gives it, on an
    empty volume; servers are asked what the kubelet asks."""
    spec = pod(named(documents, kind, name))["spec"]
    (container,) = spec[part]
    configs = {c["metadata"]["name"]: c["data"] for c in of_kind(documents, "ConfigMap")}
    environment: dict[str, str] = {}
    for source in container["envFrom"]:
        (reference,) = source.values()
        if not reference.get("optional"):
            environment |= (configs | SECRETS)[reference["name"]]
    own = {e["name"]: e["value"] for e in container.get("env", []) if "value" in e}
    environment |= own | PLACES | API_SERVER
    command = container.get("command") or entrypoint()
    command = [*command, *container["args"]]
    for variable, value in environment.items():
        command = [word.replace(f"$({variable})", value) for word in command]
    volumes = {}
    for mount in container["volumeMounts"]:
        (volume,) = (v for v in spec["volumes"] if v["name"] == mount["name"])
        source = folder / mount["name"]
        source.mkdir()
        source.chmod(0o755)
        files = configs.get(volume.get("configMap", {}).get("name"), {})
        for file, content in (ACCOUNT if volume["name"] == "api-token" else files).items():
            (source / file).write_text(content)
            (source / file).chmod(0o644)
        if mount["mountPath"] not in ("/tmp", TOKEN):
            volumes[mount["mountPath"]] = source
        if "emptyDir" in volume:
            source.chmod(0o777)
    if (folder / "state").is_dir():
        give(folder / "state")
    if "startupProbe" in container:
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        asked = [container[f"{probe}Probe"]["httpGet"] for probe in PROBES]
        asked = [{"path": probe["path"], "port": ports[probe["port"]]} for probe in asked]
        command = ["python", "-c", KUBELET, json.dumps(asked), *command]
    return pods.run(Pod(command, environment, volumes), folder / "scratch")


def entrypoint() -> list[str]:
    """The service's image's."""
    text = (ROOT / "infra" / "images" / "Dockerfile").read_text()
    stage = text[text.index(" AS serve") :]
    line = next(row for row in stage.splitlines() if row.startswith("ENTRYPOINT"))
    words: list[str] = json.loads(line.removeprefix("ENTRYPOINT"))
    return words


def probed(ended: Ended) -> tuple[tuple[int, str], int, object]:
    """What its readiness answered, its liveness' status, and whether it had ended by then."""
    assert "PROBES" in ended.log, ended.log
    ready, live, status = json.loads(ended.log.rpartition("PROBES")[2])
    return (ready[0], ready[1]), live[0], status


def told(ended: Ended) -> list[str]:
    """The messages of its log, which is JSON."""
    lines = [line for line in ended.log.splitlines() if line.startswith('{"time"')]
    return [json.loads(line)["message"] for line in lines]


def test_the_trigger_waits_for_a_profile_that_can_run(
    pods: Namespaces, tmp_path: Path, overlays: dict[str, Documents]
) -> None:
    ended = run(pods, tmp_path, overlays["cpu"], "Deployment", "trigger")
    (status, text), live, state = probed(ended)
    assert (status, live, state) == (503, 200, None), ended.log
    assert "cluster.registry" in text
    assert [line for line in told(ended) if "waits" in line] == [json.loads(text)["error"]]


def test_a_trigger_with_a_profile_of_its_own_is_ready(
    pods: Namespaces, tmp_path: Path, overlays: dict[str, Documents]
) -> None:
    ended = run(pods, tmp_path, overlays["example"], "Deployment", "trigger")
    assert probed(ended) == ((200, '"ok"'), 200, None), ended.log


def test_drift_has_nothing_to_compare_with_and_is_no_failed_job(
    pods: Namespaces, tmp_path: Path, overlays: dict[str, Documents]
) -> None:
    ended = run(pods, tmp_path, overlays["cpu"], "CronJob", "drift")
    assert ended.status == 0, ended.log
    assert any("No version is in production yet" in line for line in told(ended)), ended.log
    gauges = (tmp_path / "state" / "metrics" / "drift.prom").read_text()
    assert "\nmoodline_drift_checked_timestamp_seconds " in gauges


def test_the_service_waits_for_a_first_version(
    pods: Namespaces, tmp_path: Path, overlays: dict[str, Documents]
) -> None:
    ended = run(pods, tmp_path, overlays["cpu"], "Deployment", "moodline")
    (status, text), live, state = probed(ended)
    assert (status, live, state) == (503, 200, None), ended.log
    assert "no version is in production yet; promote one" in text
    assert "no version is in production yet; promote one" in told(ended)


def test_speech_models_come_out_of_the_store_before_the_service_starts(
    tmp_path: Path, overlays: dict[str, Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="moodline-models-") as name,
        simulated_s3() as simulator,
    ):
        folder, keys = Path(name), dict(simulator.environment)
        folder.chmod(0o755)
        address = urlsplit(keys.pop("MLFLOW_S3_ENDPOINT_URL"))
        with monkeypatch.context() as here:
            for variable, value in {**keys, "AWS_ENDPOINT_URL_S3": address.geturl()}.items():
                here.setenv(variable, value)
            Url(BUCKET, "speech/whisper/model.bin").put_bytes(b"weights")
        store = Service("store", 9000, ("127.0.0.1", address.port or 0), folder)
        given = {"AWS_ENDPOINT_URL_S3": "http://store:9000", **keys}
        monkeypatch.setitem(SECRETS, "moodline", SECRETS["moodline"] | given)
        monkeypatch.setitem(PLACES, "PREPARED_MODELS", f"s3://{BUCKET}/speech")
        namespaces = Namespaces(folder / "pods", [store], {})
        documents = overlays["example-gateway"]
        ended = run(namespaces, tmp_path, documents, "Deployment", "moodline", "initContainers")
        store.close()
    assert ended.status == 0, ended.log
    assert (tmp_path / "models" / "whisper" / "model.bin").read_bytes() == b"weights"
