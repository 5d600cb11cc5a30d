"""Runs on a cluster: the real client against an API held to kfp's own models."""

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from components.base import InputError, MoodlineError, Refused, Unavailable
from components.config import ClusterSettings, Profile, Settings, load_profile
from components.config.cluster import Secret
from pipelines.cli.main import run as moodline
from pipelines.runners import kfp_host, kubeflow
from pipelines.runners.kubeflow import submit
from pipelines.runners.request import RetrainRequest

sys.path.insert(0, str(Path(__file__).parent))
from kfp_server import KfpServer

SIGNING = Secret(name="signing", env={"private.pem": "MOODLINE_SIGNING_KEY"})
UNSIGNED = load_profile("tiny")
DEMO = UNSIGNED.model_copy(update={"cluster": ClusterSettings(secrets=(SIGNING,))})
REQUEST = RetrainRequest(corpus=Path("/state/corpus"), promote=True)


@pytest.fixture
def server() -> Iterator[KfpServer]:
    server = KfpServer(token="sesame")
    yield server
    server.close()
    assert server.faults == []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeflow, "_POLL_SECONDS", 0.01)


def settings(server: KfpServer, **changes: Any) -> Settings:
    given = {"kfp_host": server.url, "kfp_token": "sesame", "kfp_namespace": "speech"}
    return Settings.model_validate(given | changes)


def test_a_run_of_a_new_version(server: KfpServer) -> None:
    cluster = ClusterSettings(
        pipeline_root="s3://moodline/runs", service_account="runner", secrets=(SIGNING,)
    )
    profile = DEMO.model_copy(update={"cluster": cluster})
    done = submit(profile, REQUEST, settings(server))
    (run,) = server.runs.values()
    assert done.id == run.run_id and done.url.endswith(f"/#/runs/details/{run.run_id}")
    assert done.state == ""
    assert run.runtime_config.parameters == REQUEST.arguments()
    assert run.runtime_config.pipeline_root == "s3://moodline/runs"
    assert run.service_account == "runner"
    (experiment,) = server.experiments.values()
    assert (experiment.display_name, experiment.namespace) == ("moodline", "speech")
    version = server.versions[run.pipeline_version_reference.pipeline_version_id]
    assert version.display_name == done.pipeline_version
    package = server.packages[version.pipeline_version_id]
    assert package[0]["pipelineInfo"]["name"] == "moodline-retrain"


def test_the_same_pipeline_is_uploaded_once_and_another_as_its_new_version(
    server: KfpServer,
) -> None:
    first = submit(DEMO, REQUEST, settings(server))
    again = submit(DEMO, REQUEST, settings(server))
    assert again.pipeline_version == first.pipeline_version
    changed = DEMO.model_copy(update={"seed": 7})
    other = submit(changed, REQUEST, settings(server))
    assert other.pipeline_version != first.pipeline_version
    assert len(server.pipelines) == len(server.experiments) == 1
    assert len(server.runs) == 3
    # KFP makes a first version out of the pipeline itself.
    names = {"moodline-retrain", first.pipeline_version, other.pipeline_version}
    assert {v.display_name for v in server.versions.values()} == names


def test_a_schedule_takes_the_place_of_the_one_before(server: KfpServer) -> None:
    submit(DEMO, REQUEST, settings(server), cron="0 3 * * 1")
    done = submit(DEMO, REQUEST, settings(server), cron="30 0 4 * * *")
    (schedule,) = server.schedules.values()
    assert schedule.recurring_run_id == done.id
    assert schedule.trigger.cron_schedule.cron == "30 0 4 * * *"
    assert (schedule.mode, schedule.no_catchup) == ("ENABLE", True)
    assert not server.runs
    mine = DEMO.model_copy(update={"name": "mine"})
    submit(mine, REQUEST, settings(server), cron="0 3 * * 1")
    crons = {s.trigger.cron_schedule.cron for s in server.schedules.values()}
    assert crons == {"30 0 4 * * *", "0 0 3 * * 1"}


def test_waiting_for_the_end(server: KfpServer) -> None:
    assert submit(DEMO, REQUEST, settings(server), wait=True).state == "SUCCEEDED"
    for end in ("FAILED", "CANCELED"):
        server.ends = ["RUNNING", end]
        with pytest.raises(Refused, match=f"the run ended as {end}.*; see http"):
            submit(DEMO, REQUEST, settings(server), wait=True)


def test_the_command(
    server: KfpServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MOODLINE_KFP_TOKEN", "sesame")
    cluster = {"registry": "registry.example.com/team", "volume": {"claim": "moodline"}}
    mine = DEMO.model_dump(mode="json") | {"cluster": cluster}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    call = ["retrain", "--runner", "kubeflow", "--host", server.url, "--corpus", "/state/corpus"]
    call += ["--profile", str(tmp_path / "mine.yaml")]
    assert moodline([*call, "--experiment", "nightly", "--wait"]) == 0
    printed = capsys.readouterr().out
    (run,) = server.runs.values()
    assert run.run_id in printed and "SUCCEEDED" in printed
    assert run.runtime_config.parameters["corpus"] == "/state/corpus"
    assert [e.display_name for e in server.experiments.values()] == ["nightly"]
    assert moodline([*call, "--cron", "0 3 * * 1"]) == 0
    assert len(server.schedules) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kfp_token": "wrong"}, r"knows no such token \(401\); set MOODLINE_KFP_TOKEN"),
        ({"kfp_token": None}, r"knows no such token \(401\)"),
        ({"kfp_host": "http://127.0.0.1:9"}, r"127\.0\.0\.1:9: does not answer"),
        ({"kfp_host": ""}, "no Kubeflow Pipelines host: name one in MOODLINE_KFP_HOST"),
        ({"kfp_host": "kfp.example.com"}, r"kfp\.example\.com: name one .* as https"),
    ],
)
def test_a_host_that_refuses(changes: dict[str, Any], says: str, server: KfpServer) -> None:
    with pytest.raises(MoodlineError, match=says) as caught:
        submit(DEMO, REQUEST, settings(server, **changes))
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)
    assert not server.pipelines


@pytest.mark.parametrize(
    ("version", "told"),
    [("2.15.0", "2.15.0"), ("v2.16.1-rc.1", "v2.16.1-rc.1"), ("unknown", ""), ("master", "")],
)
def test_a_backend_that_is_new_enough_or_says_nothing(
    version: str, told: str, server: KfpServer
) -> None:
    server.version = version
    assert submit(DEMO, REQUEST, settings(server)).kfp_version == told
    assert len(server.runs) == 1


@pytest.mark.parametrize("version", ["2.14.4", "2.5.0", "v2.0.5"])
def test_a_backend_that_is_too_old_is_given_nothing(version: str, server: KfpServer) -> None:
    server.version = version
    says = f"is Kubeflow Pipelines {version}; the pipelines need 2.15 or newer"
    with pytest.raises(InputError, match=says):
        submit(DEMO, REQUEST, settings(server))
    assert not server.pipelines


def test_the_token_of_the_pod_s_service_account_and_its_successor(
    server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet writes another one every hour, also while a run is waited for."""
    file = tmp_path / "token"
    file.write_text("sesame\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))

    def renew() -> None:
        server.token = f"sesame-{len(server.ends)}"
        file.write_text(server.token)

    server.on_look = renew
    done = submit(DEMO, REQUEST, settings(server, kfp_token=None), wait=True)
    assert (done.state, server.token) == ("SUCCEEDED", "sesame-1")
    # A token that is given comes first.
    server.token = "given"
    submit(DEMO, REQUEST, settings(server, kfp_token="given"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "token: cannot be read"),
        ("", "token: is empty"),
        ("wrong", r"knows no such token \(401\)"),
    ],
)
def test_a_token_file_that_is_of_no_use(
    content: str | None, says: str, server: KfpServer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if content is not None:
        (tmp_path / "token").write_text(content)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(InputError, match=says) as error:
        submit(DEMO, REQUEST, settings(server, kfp_token=None))
    assert "\n" not in str(error.value)
    assert not server.pipelines


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (403, InputError, r"does not allow it \(403\)"),
        (409, InputError, r"refuses \(409\): the database is in a sulk$"),
        (500, Unavailable, r"refuses \(500\): the database is in a sulk$"),
        (503, Unavailable, r"refuses \(503\)"),
    ],
)
def test_a_host_that_refuses_in_the_middle(
    status: int, kind: type[MoodlineError], says: str, server: KfpServer
) -> None:
    server.refuse = status
    with pytest.raises(kind, match=says):
        submit(DEMO, REQUEST, settings(server))
    assert not server.runs


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (200, InputError, "is no Kubeflow Pipelines API"),
        (404, InputError, r"refuses \(404\): <html>who are you\?</html>"),
        (502, Unavailable, r"refuses \(502\)"),
    ],
)
def test_another_site_is_not_taken_for_one(
    status: int, kind: type[MoodlineError], says: str, server: KfpServer
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>who are you?</html>")

        def log_message(self, *_: Any) -> None:
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=site.serve_forever, daemon=True).start()
    try:
        with pytest.raises(kind, match=says):
            submit(DEMO, REQUEST, settings(server, kfp_host=f"http://127.0.0.1:{site.server_port}"))
    finally:
        site.shutdown()
        site.server_close()


def test_a_wrong_schedule_is_one_line(server: KfpServer) -> None:
    with pytest.raises(InputError, match="“weekly” is no schedule"):
        submit(DEMO, REQUEST, settings(server), cron="weekly")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--runner", "kubeflow"], "name the corpus"),
        (["--runner", "kubeflow", "--corpus", "/c"], "name their registry in cluster.registry"),
        (["--cron", "0 3 * * 1"], "need --runner kubeflow"),
    ],
)
def test_a_wrong_request_is_one_line(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert moodline(["retrain", *options]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1


def test_a_profile_s_secrets_are_in_no_upload(server: KfpServer) -> None:
    mine: Profile = DEMO.model_copy(update={"name": "mine"})
    submit(mine, REQUEST, settings(server, hub_token="hf_secret"))
    assert "hf_secret" not in str(server.packages) and "sesame" not in str(server.packages)


def test_the_token_lies_where_kfp_s_own_client_looks_for_it() -> None:
    from kfp import client

    assert client.KF_PIPELINES_SA_TOKEN_ENV == kfp_host.TOKEN_VARIABLE
    assert client.KF_PIPELINES_SA_TOKEN_PATH == kfp_host.TOKEN_FILE


def test_a_run_that_could_sign_nothing_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kfp_host="http://127.0.0.1:9")
    with pytest.raises(InputError, match="nothing signs what is registered: without a volume"):
        submit(UNSIGNED, RetrainRequest(corpus=Path("/calls")), settings)


def test_feedback_without_its_database_is_refused_at_once() -> None:
    request = RetrainRequest(corpus=Path("/calls"), feedback=Path("log"))
    with pytest.raises(InputError, match="hand MOODLINE_FEEDBACK_URL to them"):
        submit(DEMO, request, Settings.model_validate({"kfp_host": "http://127.0.0.1:9"}))
