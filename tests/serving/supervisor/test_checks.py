"""`moodline serve` with wrong settings: one line that names them, and nothing is started."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from components.base import Database, Schema
from components.config import Settings
from components.traffic.tables import SCHEMA as FEEDBACK
from pipelines.cli.main import run
from serving.database import SCHEMA as SERVICE
from serving.keys import add_key

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

REFUSES = "postgresql://bob:s3cret@127.0.0.1:1/moodline"


@contextmanager
def taken() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_home: Path) -> Path:
    """An empty one, its models elsewhere."""
    monkeypatch.setenv("MOODLINE_TRITON_ENV", str(Settings().triton_env.resolve()))
    monkeypatch.setenv("MOODLINE_MODELS", str(models_home.resolve()))
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("SERVE_KEYS", "{tmp}/none", "none: the API keys cannot be read"),
        ("SERVE_KEYS", "{tmp}/keys", "keys: line 2: is not “name sha256"),
        ("SERVE_HOSTS", "https://moodline.example", "MOODLINE_SERVE_HOSTS"),
        ("SERVE_TRITON_METRICS_PORT", "{taken}", "{taken} cannot be listened on, where Triton"),
        ("SERVE_FOLDER", "s3://moodline/jobs", "MOODLINE_SERVE_FOLDER=s3://moodline/jobs: its upl"),
        ("SERVE_STORE", REFUSES, "MOODLINE_SERVE_STORE: the job database: "),
        ("SERVE_STORE", "mysql://bob:s3cret@h/x", "MOODLINE_SERVE_STORE"),
        ("FEEDBACK_URL", REFUSES, "MOODLINE_FEEDBACK_URL: the feedback database: "),
        ("FEEDBACK_URL", "htp://bob:s3cret@h", "MOODLINE_FEEDBACK_URL"),
        ("MLFLOW_URI", REFUSES, "MOODLINE_MLFLOW_URI: MLflow's database: "),
        ("MLFLOW_URI", "http://bob:s3cret@127.0.0.1:1", "MLflow at http://bob:…@127.0.0.1:1: "),
        ("MLFLOW_URI", "htp://bob:s3cret@h", "MOODLINE_MLFLOW_URI"),
        ("MLFLOW_URI", "postgresql://[::1/x", "MOODLINE_MLFLOW_URI"),
        ("TRITON_URL", "nonsense", "nonsense is neither host:port"),
    ],
)
def test_a_wrong_setting_is_named(
    setting: str,
    value: str,
    told: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_key(tmp_path / "keys", "web")
    with (tmp_path / "keys").open("a") as keys:
        keys.write("what is this\n")
    with taken() as port:
        given = value.format(tmp=tmp_path, taken=port)
        monkeypatch.setenv(f"MOODLINE_{setting}", given)
        assert run(["serve", "--port", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("moodline: ")
    assert told.format(taken=port) in lines[-1]
    assert [line for line in lines if "Starting" not in line] == lines[-1:]
    assert "s3cret" not in " ".join(lines)
    assert not (home / "logs" / "service.log").exists()


@pytest.mark.parametrize(
    ("setting", "schema"), [("SERVE_STORE", SERVICE), ("FEEDBACK_URL", FEEDBACK)]
)
def test_a_database_of_a_newer_moodline_is_refused(
    setting: str, schema: Schema, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    url = f"sqlite:///{tmp_path}/some.db"
    with closing(Database(url, "its", schema)) as database, database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {schema.version_table} SET version_num = '2.1'")
    monkeypatch.setenv(f"MOODLINE_{setting}", url)
    assert run(["serve", "--port", "0"]) == 2
    (line,) = [s for s in capsys.readouterr().err.splitlines() if s.startswith("moodline: ")]
    assert f"MOODLINE_{setting}" in line and "is of a newer Moodline" in line
    assert not (home / "logs" / "service.log").exists()


def test_its_own_port_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with taken() as port:
        assert run(["serve", "--port", port]) == 2
    assert f"127.0.0.1:{port} cannot be listened on" in capsys.readouterr().err


def test_two_cannot_share_a_port(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with taken() as port:
        pass
    monkeypatch.setenv("MOODLINE_SERVE_TRITON_METRICS_PORT", port)
    assert run(["serve", "--port", port]) == 2
    assert f"METRICS_PORT={port}: is the service's own port" in capsys.readouterr().err
