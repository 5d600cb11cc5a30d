"""The manifests: of real schemas, strictly; safe; and every name in them leads somewhere."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.config import Settings
from pipelines.cli.main import run
from serving.settings import HostSettings, ServeSettings, TrafficSettings
from serving.supervisor.serve import SHUTDOWN_SECONDS
from serving.triton.replicas import addresses
from tests.infra.schemas import check

Documents = list[dict[str, Any]]
INFRA = Path(__file__).resolve().parents[2] / "infra"
SERVERS = ("Deployment", "StatefulSet")
WORKLOADS = {*SERVERS, "CronJob"}


def of_kind(documents: Documents, *kinds: str) -> Documents:
    return [d for d in documents if d["kind"] in kinds]


def named(documents: Documents, kind: str, name: str) -> dict[str, Any]:
    (document,) = (d for d in of_kind(documents, kind) if d["metadata"]["name"] == name)
    return document


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a workload."""
    spec = workload["spec"]
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]


def containers(documents: Documents) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for workload in of_kind(documents, *WORKLOADS):
        spec = pod(workload)["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            yield spec, container


def test_every_object_is_of_its_schema(documents: Documents) -> None:
    kinds = {document["kind"] for document in documents}
    assert {"Deployment", "ScaledObject", "HorizontalPodAutoscaler", "NetworkPolicy"} <= kinds
    assert {"CronJob", "ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"} <= kinds
    for document in documents:
        check(document)


@pytest.mark.parametrize(
    "kind",
    ["Deployment", "CronJob", "ScaledObject", "NetworkPolicy", "ConfigMap", "ServiceMonitor",
     "PrometheusRule", "AlertmanagerConfig"],
)  # fmt: skip
def test_the_check_finds_a_field_too_many(documents: Documents, kind: str) -> None:
    broken = copy.deepcopy(of_kind(documents, kind)[0])
    broken.setdefault("spec", broken)["replicaz"] = 3
    with pytest.raises(Exception, match="replicaz"):
        check(broken)


def test_the_check_finds_a_wrong_kind_of_value(documents: Documents) -> None:
    for kind, field in (
        ("Deployment", "revisionHistoryLimit"),
        ("ScaledObject", "pollingInterval"),
    ):
        broken = copy.deepcopy(of_kind(documents, kind)[0])
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
            assert _matches(rule["labelSelector"], pod(deployment))


def test_mounts_have_their_volumes(documents: Documents) -> None:
    claims = {d["metadata"]["name"] for d in of_kind(documents, "PersistentVolumeClaim")}
    for spec, container in containers(documents):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims


def test_what_triton_serves_is_there_on_an_empty_volume(documents: Documents) -> None:
    """Kubelet makes a subpath only where it may write; Triton itself may only read."""
    spec = pod(named(documents, "StatefulSet", "triton"))["spec"]
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
    (settings,) = of_kind(overlays["gpu"], "ConfigMap")
    assert HostSettings(gpu=settings["data"]["MOODLINE_TRITON_GPU"]).gpu is True
    (container,) = pod(named(overlays["gpu"], "StatefulSet", "triton"))["spec"]["containers"]
    assert container["image"].startswith("nvcr.io/nvidia/tritonserver:")
    (repository,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "state")
    assert f"--model-repository={repository}" in container["args"]
    (engines,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "engines")
    assert engines == "/var/cache/moodline-tensorrt"


def test_uploads_find_room(documents: Documents) -> None:
    """Those that arrive, and those that wait or are worked on, in both lanes: else: eviction."""
    spec = pod(named(documents, "Deployment", "moodline"))["spec"]
    (room,) = (v["emptyDir"]["sizeLimit"] for v in spec["volumes"] if v["name"] == "temporary")
    serve = ServeSettings()
    at_once = serve.uploads + 2 * (serve.waiting + 1)
    assert room.endswith("Gi")
    assert at_once * Settings().max_upload_megabytes * 1e6 < int(room[:-2]) * 2**30


def test_triton_has_no_http_and_is_no_older_than_its_mended_faults(
    overlays: dict[str, Documents],
) -> None:
    for documents in overlays.values():
        ports = {p["name"] for p in named(documents, "Service", "triton")["spec"]["ports"]}
        assert ports == {"grpc", "metrics"}
        (container,) = pod(named(documents, "StatefulSet", "triton"))["spec"]["containers"]
        if container["image"].startswith("nvcr.io"):
            year, month = re.findall(r":(\d+)\.(\d+)-", container["image"])[0]
            assert (int(year), int(month)) >= (25, 7)
            assert {"--allow-http=false", "--strict-readiness=false"} <= {*container["args"]}


def test_a_file_of_api_keys_can_be_given(documents: Documents) -> None:
    spec = pod(named(documents, "Deployment", "moodline"))["spec"]
    (keys,) = (volume["secret"] for volume in spec["volumes"] if volume["name"] == "keys")
    assert keys == {"secretName": "moodline-keys", "optional": True}


def _matches(selector: dict[str, Any], template: dict[str, Any]) -> bool:
    labels = template["metadata"]["labels"]
    return selector.get("matchLabels", selector).items() <= labels.items()


def test_selectors_select(documents: Documents) -> None:
    pods = {d["metadata"]["name"]: pod(d) for d in of_kind(documents, *WORKLOADS)}
    for deployment in of_kind(documents, *SERVERS):
        assert _matches(deployment["spec"]["selector"], pod(deployment))
    for service in of_kind(documents, "Service"):
        (template,) = (t for t in pods.values() if _matches(service["spec"]["selector"], t))
        open_ports = {p["name"] for c in template["spec"]["containers"] for p in c["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= open_ports
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert any(_matches(budget["spec"]["selector"], template) for template in pods.values())


def test_every_server_has_a_budget_and_an_autoscaler_or_a_number(documents: Documents) -> None:
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


def test_the_network_is_closed_but_for_open_doors(documents: Documents) -> None:
    deny = named(documents, "NetworkPolicy", "deny-all")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    pods = {d["metadata"]["name"]: pod(d) for d in of_kind(documents, *WORKLOADS)}
    for policy in of_kind(documents, "NetworkPolicy"):
        if not policy["spec"]["podSelector"]:
            continue
        (template,) = (t for t in pods.values() if _matches(policy["spec"]["podSelector"], t))
        listening = {
            p["containerPort"] for c in template["spec"]["containers"] for p in c.get("ports", [])
        }
        for door in policy["spec"].get("ingress", []):
            assert door["from"], "a door without a guest list"
            assert {port["port"] for port in door["ports"]} <= listening
    (triton,) = (
        d for d in of_kind(documents, "NetworkPolicy") if d["metadata"]["name"] == "triton"
    )
    guests = [
        guest["podSelector"]["matchLabels"]
        for door in triton["spec"]["ingress"]
        for guest in door["from"]
        if "podSelector" in guest
    ]
    assert guests == [{"app.kubernetes.io/name": "moodline"}]


def test_only_who_works_with_the_registry_reaches_it(documents: Documents) -> None:
    """Who may call the service may not write the registry, which decides what the service is."""
    guests: dict[str, list[Any]] = {}
    for name in ("moodline", "trigger", "mlflow"):
        policy = named(documents, "NetworkPolicy", name)
        guests[name] = [g for door in policy["spec"]["ingress"] for g in door["from"]]
    callers = {"namespaceSelector": {"matchLabels": {"moodline/client": "true"}}}
    assert callers in guests["moodline"]
    assert callers not in guests["mlflow"]
    assert {"namespaceSelector": {"matchLabels": {"moodline/registry": "true"}}} in guests["mlflow"]
    (ours,) = (g["podSelector"]["matchExpressions"] for g in guests["mlflow"] if "podSelector" in g)
    (rule,) = ours
    assert (rule["key"], rule["operator"]) == ("app.kubernetes.io/name", "In")
    to_mlflow = {
        policy["metadata"]["name"]
        for policy in of_kind(documents, "NetworkPolicy")
        for door in policy["spec"].get("egress", [])
        for host in door.get("to", [])
        if host.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
        == "mlflow"
    }
    assert set(rule["values"]) == to_mlflow == {"moodline", "drift", "trigger"}


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


def test_triton_grows_with_the_wait_in_its_queue(documents: Documents) -> None:
    (scaled,) = of_kind(documents, "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert "nv_inference_queue_duration_us" in trigger["metadata"]["query"]
    least, most = scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]
    assert most > least >= 2
    # Where Prometheus is away there are enough, and it is not asked once only.
    assert least <= scaled["spec"]["fallback"]["replicas"] <= most
    assert scaled["spec"]["fallback"]["failureThreshold"] > 1


def test_the_service_knows_every_triton_that_there_can_be(documents: Documents) -> None:
    (settings,) = of_kind(documents, "ConfigMap")
    triton, service = (
        named(documents, "StatefulSet", "triton"),
        named(documents, "Service", "triton"),
    )
    (grpc,) = (port["port"] for port in service["spec"]["ports"] if port["name"] == "grpc")
    assert triton["spec"]["serviceName"] == "triton"
    assert service["spec"]["publishNotReadyAddresses"] is True
    (scaled,) = of_kind(documents, "ScaledObject")
    names = [f"triton-{i}.triton:{grpc}" for i in range(scaled["spec"]["maxReplicaCount"])]
    assert list(addresses(settings["data"]["MOODLINE_TRITON_URL"])) == names


def test_every_scrape_finds_its_port(documents: Documents) -> None:
    monitors = of_kind(documents, "ServiceMonitor")
    services = {d["metadata"]["name"]: d for d in of_kind(documents, "Service")}
    assert {"moodline", "triton", "trigger"} == {m["metadata"]["name"] for m in monitors}
    policies = {d["metadata"]["name"]: d for d in of_kind(documents, "NetworkPolicy")}
    for monitor in monitors:
        # The service's name becomes its job's, which the rules ask for.
        (name,) = (
            name
            for name, service in services.items()
            if monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
        )
        assert name == monitor["metadata"]["name"]
        ports = {port["name"]: port["targetPort"] for port in services[name]["spec"]["ports"]}
        template = next(
            pod(d)
            for d in of_kind(documents, *SERVERS)
            if _matches(services[name]["spec"]["selector"], pod(d))
        )
        open_ports = {
            p["name"]: p["containerPort"]
            for c in template["spec"]["containers"]
            for p in c["ports"]
        }
        doors = {
            port["port"]
            for door in policies[name]["spec"]["ingress"]
            for guest in door["from"]
            if guest.get("namespaceSelector", {}).get("matchLabels", {})
            == {"kubernetes.io/metadata.name": "monitoring"}
            for port in door["ports"]
        }
        for endpoint in monitor["spec"]["endpoints"]:
            assert open_ports[ports[endpoint["port"]]] in doors


def test_alerts_reach_the_trigger_with_its_token(documents: Documents) -> None:
    (routes,) = of_kind(documents, "AlertmanagerConfig")
    (receiver,) = routes["spec"]["receivers"]
    (hook,) = receiver["webhookConfigs"]
    service = named(documents, "Service", "trigger")
    (port,) = service["spec"]["ports"]
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    assert hook["url"] == f"http://{host}:{port['port']}/v1/alerts"
    (container,) = pod(named(documents, "Deployment", "trigger"))["spec"]["containers"]
    secrets = {s["secretRef"]["name"] for s in container["envFrom"] if "secretRef" in s}
    credentials = hook["httpConfig"]["authorization"]["credentials"]
    assert credentials == {"name": "moodline-trigger", "key": "MOODLINE_TRIGGER_TOKEN"}
    assert credentials["name"] in secrets
    assert "trigger_token" in Settings.model_fields
    # As where there is no operator.
    theirs = yaml.safe_load((INFRA / "prometheus" / "alertmanager.yaml").read_text())["route"]
    (same,) = (route for route in theirs["routes"] if route["receiver"] == "trigger")
    ours = routes["spec"]["route"]
    (matcher,) = ours["matchers"]
    assert same["matchers"] == ['{name}="{value}"'.format(**matcher)]
    assert ours["groupBy"] == theirs["group_by"]
    for here, there in (("groupWait", "group_wait"), ("repeatInterval", "repeat_interval")):
        assert ours[here] == same[there]


def test_drift_and_the_trigger_are_called_as_the_command_line_has_it(documents: Documents) -> None:
    drift = pod(named(documents, "CronJob", "drift"))["spec"]["containers"][0]
    trigger = pod(named(documents, "Deployment", "trigger"))["spec"]["containers"][0]
    for arguments in (["drift", *drift["args"]], trigger["args"]):
        assert run([*arguments, "--help"]) == 0
        assert run([*arguments, "--hellp"]) == 2
    (settings,) = of_kind(documents, "ConfigMap")
    home = Path(settings["data"]["MOODLINE_HOME"])
    assert drift["args"][drift["args"].index("--prom") + 1].startswith(
        f"{Settings(home=home).metrics}/"
    )
    for container in (drift, trigger):
        assert {"configMapRef": {"name": settings["metadata"]["name"]}} in container["envFrom"]
        assert {"name": "state", "mountPath": str(home)} in container["volumeMounts"]


def test_only_the_gpu_overlay_asks_for_gpus(overlays: dict[str, Documents]) -> None:
    def gpus(name: str) -> set[str]:
        return {
            deployment["metadata"]["name"]
            for deployment in of_kind(overlays[name], *SERVERS)
            for container in pod(deployment)["spec"]["containers"]
            if "nvidia.com/gpu" in container["resources"]["limits"]
        }

    assert gpus("cpu") == set()
    assert gpus("gpu") == {"moodline", "triton"}
    for kind, name in (("Deployment", "moodline"), ("StatefulSet", "triton")):
        spec = pod(named(overlays["gpu"], kind, name))["spec"]
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec[
            "tolerations"
        ]


def test_a_pod_of_the_service_has_the_time_to_finish_its_requests(documents: Documents) -> None:
    (service,) = (
        d for d in of_kind(documents, "Deployment") if d["metadata"]["name"] == "moodline"
    )
    pod = service["spec"]["template"]["spec"]
    *sleep, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == ["sleep"]
    least = int(seconds) + ServeSettings().finish_seconds + SHUTDOWN_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= least
