"""The manifests: of real schemas, strictly; safe; and every name in them leads somewhere."""

import copy
import re
from pathlib import Path

import pytest

from components.base import located
from components.config import Settings
from pipelines.cli.main import run
from pipelines.runners.kfp_host import TOKEN_FILE
from serving.settings import HostSettings, ServeSettings, TrafficSettings
from serving.supervisor.serve import SHUTDOWN_SECONDS
from tests.infra.manifests import (
    SERVERS,
    Documents,
    config,
    containers,
    matches,
    named,
    of_kind,
    pod,
)
from tests.infra.schemas import check


def test_every_object_is_of_its_schema(documents: Documents) -> None:
    kinds = {document["kind"] for document in documents}
    assert {"Deployment", "NetworkPolicy"} <= kinds
    assert kinds & {"ScaledObject", "InferenceService"}
    assert {"CronJob", "ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"} <= kinds
    for document in documents:
        check(document)


@pytest.mark.parametrize(
    "kind",
    ["Deployment", "CronJob", "ScaledObject", "NetworkPolicy", "ConfigMap", "ServiceMonitor",
     "PrometheusRule", "AlertmanagerConfig"],
)  # fmt: skip
def test_the_check_finds_a_field_too_many(with_triton: Documents, kind: str) -> None:
    broken = copy.deepcopy(of_kind(with_triton, kind)[0])
    broken.setdefault("spec", broken)["replicaz"] = 3
    with pytest.raises(Exception, match="replicaz"):
        check(broken)


def test_the_check_finds_a_wrong_kind_of_value(with_triton: Documents) -> None:
    for kind, field in (
        ("Deployment", "revisionHistoryLimit"),
        ("ScaledObject", "pollingInterval"),
    ):
        broken = copy.deepcopy(of_kind(with_triton, kind)[0])
        broken["spec"][field] = "often"
        with pytest.raises(Exception, match=r"often|integer"):
            check(broken)


def test_pods_may_do_little(documents: Documents) -> None:
    for spec, container in containers(documents):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        own = container["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert re.fullmatch(r"[\w/.-]+:\d+\.\d+[\w.-]*", container["image"])
        # The root cannot be written, so there must be room for temporary files.
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_servers_are_probed_and_spread(documents: Documents) -> None:
    for deployment in of_kind(documents, *SERVERS):
        spec = pod(deployment)["spec"]
        for container in spec["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
            ports = {port[key] for port in container["ports"] for key in ("name", "containerPort")}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                ((how, what),) = (
                    (key, value)
                    for key, value in container[probe].items()
                    if key in ("httpGet", "grpc", "exec")
                )
                assert how == "exec" or what["port"] in ports
        assert spec["topologySpreadConstraints"]
        for rule in spec["topologySpreadConstraints"]:
            assert matches(rule["labelSelector"], pod(deployment))


def test_mounts_have_their_volumes(documents: Documents) -> None:
    claims = {d["metadata"]["name"] for d in of_kind(documents, "PersistentVolumeClaim")}
    for spec, container in containers(documents):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims


def test_uploads_find_room(documents: Documents) -> None:
    """Those that arrive, and those that wait or are worked on, in both lanes: else: eviction."""
    spec = pod(named(documents, "Deployment", "moodline"))["spec"]
    (room,) = (v["emptyDir"]["sizeLimit"] for v in spec["volumes"] if v["name"] == "temporary")
    serve = ServeSettings()
    at_once = serve.uploads + 2 * (serve.waiting + 1)
    assert room.endswith("Gi")
    assert at_once * Settings().max_upload_megabytes * 1e6 < int(room[:-2]) * 2**30


def test_a_file_of_api_keys_can_be_given(documents: Documents) -> None:
    spec = pod(named(documents, "Deployment", "moodline"))["spec"]
    (keys,) = (volume["secret"] for volume in spec["volumes"] if volume["name"] == "keys")
    assert keys == {"secretName": "moodline-keys", "optional": True}


def test_every_server_has_a_budget_and_an_autoscaler_or_a_number(with_triton: Documents) -> None:
    documents = with_triton
    scaled = {
        d["spec"]["scaleTargetRef"]["name"]
        for d in of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject")
    }
    budgets = {d["metadata"]["name"] for d in of_kind(documents, "PodDisruptionBudget")}
    for deployment in of_kind(documents, *SERVERS):
        name = deployment["metadata"]["name"]
        # A number beside an autoscaler would set it back with each apply.
        assert (name in scaled) != ("replicas" in deployment["spec"]), name
        if deployment["spec"].get("replicas", 2) > 1:
            assert name in budgets
    assert scaled == {"moodline", "triton"}
    autoscalers = of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject")
    assert len(autoscalers) == len(scaled), "two of them would pull at one number"


def test_settings_in_the_manifests_exist(documents: Documents) -> None:
    known = {
        f"{settings.model_config['env_prefix']}{name.upper()}"
        for settings in (Settings, ServeSettings, TrafficSettings, HostSettings)
        for name in settings.model_fields
    }
    given: set[str] = set()
    for configuration in of_kind(documents, "ConfigMap"):
        given |= set(configuration["data"])
    for _, container in containers(documents):
        given |= {entry["name"] for entry in container.get("env", [])}
    ours = {name for name in given if name.startswith("MOODLINE_")}
    assert len(ours) >= 4
    assert ours <= known


def test_no_secret_stands_in_the_manifests(documents: Documents) -> None:
    assert of_kind(documents, "Secret") == []
    for _, container in containers(documents):
        for entry in container.get("env", []):
            assert not re.search(r"password|secret|token|key", entry["name"].lower())


def test_drift_and_the_trigger_are_called_as_the_command_line_has_it(documents: Documents) -> None:
    drift = pod(named(documents, "CronJob", "drift"))["spec"]["containers"][0]
    trigger = pod(named(documents, "Deployment", "trigger"))["spec"]["containers"][0]
    for arguments in (["drift", *drift["args"]], trigger["args"]):
        assert run([*arguments, "--help"]) == 0
        assert run([*arguments, "--hellp"]) == 2
    settings = config(documents, "moodline-settings")
    home = Path(settings["data"]["MOODLINE_HOME"])
    gauges = drift["args"][drift["args"].index("--prom") + 1]
    place = gauges.replace("$(MOODLINE_METRICS)", settings["data"]["MOODLINE_METRICS"])
    # The trigger shows what lies there.
    shown = Settings(home=home, metrics=settings["data"]["MOODLINE_METRICS"]).metrics_location
    assert located(place) == shown / "drift.prom"
    for container in (drift, trigger):
        assert {"configMapRef": {"name": settings["metadata"]["name"]}} in container["envFrom"]
        assert {"name": "state", "mountPath": str(home)} in container["volumeMounts"]


def test_a_pod_of_the_service_has_the_time_to_finish_its_requests(documents: Documents) -> None:
    (service,) = (
        d for d in of_kind(documents, "Deployment") if d["metadata"]["name"] == "moodline"
    )
    pod = service["spec"]["template"]["spec"]
    *sleep, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == ["sleep"]
    least = int(seconds) + ServeSettings().finish_seconds + SHUTDOWN_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= least


def test_the_trigger_shows_kubeflow_a_token_of_its_own(documents: Documents) -> None:
    spec = pod(named(documents, "Deployment", "trigger"))["spec"]
    assert named(documents, "ServiceAccount", spec["serviceAccountName"])
    (volume,) = (v for v in spec["volumes"] if "projected" in v)
    (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["name"] == volume["name"])
    token = volume["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "pipelines.kubeflow.org"
    assert f"{mount['mountPath']}/{token['path']}" == TOKEN_FILE
