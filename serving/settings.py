"""How the service behaves, which versions get which requests, and how Triton runs the model.

From the environment: `MOODLINE_SERVE_*`, `MOODLINE_TRAFFIC_*` and `MOODLINE_TRITON_*`.
"""

import ipaddress
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from components.base import (
    InputError,
    Location,
    database_address,
    located,
    server_address,
    sqlite_path,
    sqlite_url,
)
from components.config import Environment
from components.conversation import Seconds

LOAD_SECONDS: Seconds = 120.0
"""How long Triton may load a version before the version is refused."""

ENGINE_SECONDS: Seconds = 1800.0
"""How long TensorRT may build a version's engine before the version is refused."""

SMALL_UPLOAD_BYTES = 1_000_000
"""An upload of up to so many bytes is held in memory while it is received, a larger one on disk."""


ANY_HOST = "*"
"""Among the hosts: any name."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)


class ChildEnvironment(Environment):
    """Settings that are handed on to child processes."""

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, paths absolute."""
        return {
            f"{self.model_config['env_prefix']}{name.upper()}": str(
                value.resolve() if isinstance(value, Path) else value
            )
            for name, value in self.model_dump().items()
        }


class ServeSettings(ChildEnvironment):
    """The service's own settings, each from `MOODLINE_SERVE_<NAME>` in the environment.

    Copies of the service that share `store` and `folder` share jobs and the limits of keys.

    Attributes:
        profile: how to compute the speech models (`MACHINES_OWN`): demo, paper, a YAML file, or a
            profile as JSON. Which ones they are has to agree with the served version; empty: all
            is as the version has it.
        first: the folder of the version that is served first, so that its speech models are loaded
            while Triton starts; empty: they are loaded once a version is served.
        wait: start without a version in production, unready, and serve the first that is promoted;
            without it, that is refused.
        pointer: the file that says which model version is served (see `serving.lineup`).
        leader: by what copies of the service that share Tritons agree on the one that steers them:
            a Lease of Kubernetes, a row in `store` where that is PostgreSQL, or the lock of a file
            beside the pointer; auto: the database if it is PostgreSQL, else the file.
        lease: the name of that Lease or row.
        workers: processes of one service; each loads the speech models.
        store: SQLAlchemy's URL of the database of jobs; empty: SQLite in `folder`.
        folder: where uploads of jobs lie until they are done: a folder, or `s3://bucket/path`;
            empty: `<home>/serving/store`.
        short_seconds: recordings up to this length do not wait for longer ones.
        waiting: recordings that may wait for their turn, of short and of long ones each; more
            are answered 429.
        clips_waiting: clips of `/v1/classify` that one process has under way; more: 429.
        clip_seconds: seconds of sound in one `/v1/classify`, all its clips together; more: 413.
        clip_seconds_waiting: the same of all that one process has under way; more: 429.
        uploads: requests of more than a megabyte that one process receives at a time; more: 429.
        live: calls that one process listens to while they go on (`/v1/live`); more are told that
            it is full. 0: none.
        jobs_waiting: jobs that may be unfinished, in all copies together; more: 429.
        job_hours: how long a finished job's result is kept.
        job_lease: seconds without a sign of life after which a job is taken from its process.
        timeout: seconds until a request is answered 504, unless it asks for less.
        clip_deadline: seconds for the model's answer to one clip.
        finish_seconds: grace period for requests in flight at shutdown, in seconds; jobs are given
            back at once.
        logs: where the service and Triton write theirs: files under `<home>/logs`, or the standard
            error of `moodline serve`, which is where containers are listened to.
        triton_metrics_port: where a Triton that is started here shows Prometheus its queue and its
            batches; 0: any free port.
        keys: a file of hashed API keys (`python -m serving.keys`); empty: everybody may ask.
        voice_prints: whether voice prints may be kept and used (`/v1/speakers`). They are
            biometric data, so the operator has to say so.
        voice_print_days: how long one is kept.
        voice_prints_each: how many one key may have; without keys, how many there may be.
        hosts: names, separated by commas, by which the service may be asked, beside addresses and
            `localhost`, and whose pages may ask it, at every port; `*`: any. With a valid key, any
            name will do.
        mlflow_page, kfp_page, grafana_page: addresses of these for the browser of who reads
            `/operations`, which links to them; empty: no link. They are not those by which the
            service itself asks, which may hold a password.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_SERVE_", frozen=True, extra="ignore")

    profile: str = ""
    first: str = ""
    wait: bool = False
    pointer: Path = Path(".moodline/serving/served.json")
    leader: Literal["auto", "kubernetes", "database", "file"] = "auto"
    lease: str = Field(default="moodline", pattern=r"^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$")
    workers: int = Field(default=1, ge=1)
    store: str = ""
    folder: str = ""
    short_seconds: float = Field(default=60.0, ge=0)
    waiting: int = Field(default=8, ge=0)
    clips_waiting: int = Field(default=256, ge=1)
    clip_seconds: float = Field(default=600.0, gt=0)
    clip_seconds_waiting: float = Field(default=3600.0, gt=0)
    uploads: int = Field(default=16, ge=1)
    live: int = Field(default=4, ge=0)
    jobs_waiting: int = Field(default=100, ge=0)
    job_hours: float = Field(default=24.0, gt=0)
    job_lease: float = Field(default=30.0, gt=0)
    timeout: int = Field(default=1800, ge=1)
    clip_deadline: float = Field(default=30.0, gt=0)
    finish_seconds: int = Field(default=310, ge=1)
    triton_metrics_port: int = Field(default=0, ge=0, le=65_535)
    logs: Literal["files", "stderr"] = "files"
    keys: str = ""
    voice_prints: bool = False
    voice_print_days: float = Field(default=180.0, gt=0, le=36_500)
    voice_prints_each: int = Field(default=100, ge=1)
    hosts: str = ""
    mlflow_page: str = ""
    kfp_page: str = ""
    grafana_page: str = ""

    @property
    def host_names(self) -> frozenset[str]:
        """The names of `hosts`, in lower case."""
        return host_names(self.hosts)

    @field_validator("hosts")
    @classmethod
    def _names(cls, hosts: str) -> str:
        host_names(hosts)
        return hosts

    @field_validator("mlflow_page", "kfp_page", "grafana_page")
    @classmethod
    def _for_a_browser(cls, url: str) -> str:
        if url and "@" in urlsplit(server_address(url)).netloc:
            raise ValueError("holds an account, which every reader of the page would see")
        return url

    @field_validator("store")
    @classmethod
    def _database(cls, url: str) -> str:
        return database_address(url) if url else url

    @property
    def store_is_shared(self) -> bool:
        """Whether the store is a PostgreSQL, which processes on several hosts can share."""
        return bool(self.store) and not self.store.startswith("sqlite")

    def log_file(self, home: Path, name: str) -> Path | None:
        """The file that a child process writes its log to; None: standard error."""
        return home / "logs" / name if self.logs == "files" else None

    @field_validator("folder")
    @classmethod
    def _place(cls, folder: str) -> str:
        try:
            located(folder)
        except InputError as error:
            raise ValueError(str(error)) from None
        return folder

    def shared_folder(self, home: Path) -> Location:
        """Where uploads lie that outlive a request."""
        return located(self.folder) if self.folder else home / "serving" / "store"

    def store_url(self, home: Path) -> str:
        """The database of jobs and of the use of keys."""
        folder = self.shared_folder(home)
        own = folder if isinstance(folder, Path) else home / "serving" / "store"
        return self.store or sqlite_url(own / "store.db")

    def voices_url(self, home: Path) -> str:
        """The database of voice prints: with SQLite a file of its own, so that no copy of the jobs
        holds any."""
        url = self.store_url(home)
        file = sqlite_path(url)
        return sqlite_url(file.with_name(f"{file.stem}-voices.db")) if file else url


class TrafficSettings(ChildEnvironment):
    """Which versions are served, each from `MOODLINE_TRAFFIC_<NAME>` in the environment.

    Attributes:
        shadow_share: share of the requests that also go to the version `candidate`; its answers
            are compared and never returned.
        shadow_at_once: such requests under way in one process; more are left out, and counted.
        canary_share: share of the requests that the version in `staging` answers.
        canary_errors: the share of the canary's requests that may fail.
        canary_slower: how many times production's median time the canary's may be.
        canary_requests: how many requests it takes to judge.
        follow_seconds: between two looks into the registry.
        watch_seconds: between two questions to the model that show that it answers.
        grace_seconds: how long a version stays on Triton after another took over.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_TRAFFIC_", frozen=True, extra="ignore")

    shadow_share: float = Field(default=0.0, ge=0, le=1)
    shadow_at_once: int = Field(default=2, ge=1)
    canary_share: float = Field(default=0.0, ge=0, le=1)
    canary_errors: float = Field(default=0.05, ge=0, le=1)
    canary_slower: float = Field(default=2.0, gt=0)
    canary_requests: int = Field(default=50, ge=1)
    follow_seconds: float = Field(default=5.0, gt=0)
    watch_seconds: float = Field(default=1.0, gt=0)
    grace_seconds: float = Field(default=10.0, ge=0)


class HostSettings(Environment):
    """How Triton runs the model, each from `MOODLINE_TRITON_<NAME>` in the environment.

    Attributes:
        instances: model processes for each version, which answer side by side. Two with half the
            cores each answer more than one with all cores, because threads that share one clip
            wait for each other; but they hold the model twice.
        threads: of one instance; 0 shares the cores among the instances.
        max_batch: the most requests handed to an instance at once.
        max_queue: the most requests waiting for a version; more are turned away.
        queue_seconds: the longest wait; a request that asks for less gets less.
        gpu: run the graph by the onnxruntime backend with TensorRT; see `serving.triton.gpu`.
        tensorrt_cache: the folder on Triton's host where TensorRT keeps its engines, each of which
            takes minutes to build. Triton must be able to write there; the repository may be
            read-only.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_TRITON_", frozen=True, extra="ignore")

    instances: int = Field(default=2, ge=1)
    threads: int = Field(default=0, ge=0)
    max_batch: int = Field(default=32, ge=1)
    max_queue: int = Field(default=512, ge=1)
    queue_seconds: float = Field(default=30.0, gt=0)
    gpu: bool = False
    tensorrt_cache: str = "/var/cache/moodline-tensorrt"

    @property
    def load_seconds(self) -> Seconds:
        """The longest that loading a version may take."""
        return ENGINE_SECONDS if self.gpu else LOAD_SECONDS


def host_names(listed: str) -> frozenset[str]:
    """The names of a list, in lower case.

    Args:
        listed: names or addresses, separated by commas; `*` stands for any.

    Raises:
        ValueError: one of them is no host's name, as browsers send it.
    """
    names = frozenset(name.strip().lower() for name in listed.split(",")) - {""}
    for name in sorted(names - {ANY_HOST}):
        if not (is_address(name) or _NAME.fullmatch(name)):
            raise ValueError(
                f"{name[:100]!r} is no host's name; write moodline.example.com alone, without"
                " scheme, port, path or a dot at its end, or * for any name"
            )
    return names


def is_address(name: str) -> bool:
    """Whether this is an IP address, without brackets."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
