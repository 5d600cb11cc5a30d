"""Where things lie on this machine: `MOODLINE_*` in the environment, defaults under `.moodline`."""

import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from components.base import (
    Cache,
    InputError,
    Location,
    Url,
    allowed_cores,
    database_address,
    is_disk_full,
    located,
    masked,
    server_address,
    sqlite_url,
)


def _in_home(name: str) -> Any:
    """A path below `home`."""
    return Field(default_factory=lambda data: data["home"] / name)


def _sqlite_in_home(name: str) -> Any:
    """The URL of a SQLite database below `home`."""
    return Field(default_factory=lambda data: sqlite_url(data["home"] / name))


_STORES = ("cache", "log", "model_repository", "metrics")
"""What may lie in an object store; then `<name>_store` is its URL."""

_SECRETS = {"hub_token", "kfp_token", "signing_key", "trigger_token"}


class Environment(BaseSettings):
    """Settings from the environment; a wrong one is one line that names its variable."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"{self.model_config.get('env_prefix', '')}{first['loc'][0]}".upper()
            fault = first["msg"].removeprefix("Value error, ")
            raise InputError(masked(f"{name}={first['input']}: {fault}")) from None


class Settings(Environment):
    """The machine's settings, each from `MOODLINE_<NAME>` in the environment.

    Attributes:
        home: Moodline's state.
        mlflow_uri: MLflow's tracking and registry server, or its database (`sqlite:///…`,
            `postgresql://…`); default SQLite under `home`.
        mlflow_artifacts: where files go if that is a database: a folder, or `s3://bucket/path`;
            default `<home>/mlartifacts`. (A server decides itself.)
        signing_key: the private Ed25519 key (PEM) that signs what is registered, from a cluster's
            Secret; never logged; default: the file `<home>/signing/private.pem`, which is made when
            it is first needed.
        trusted_keys: public keys (OpenSSH, separated by commas or lines) whose signatures count
            besides the home's own.
        models: prepared models; default `<home>/models`.
        cache: finished work by content; default `<home>/cache`. Where MOODLINE_CACHE is
            `s3://bucket/path`, it stays there, and the same work is kept in that store, too.
        cache_store: that store's URL.
        log: the prediction log's folder: kept sound and the key; several replicas may share it.
            Where MOODLINE_LOG is `s3://bucket/path`, both lie there instead; see `log_location`.
        log_store: that store's URL.
        pipeline_root: where a cluster's pipelines keep what their steps hand on
            (`s3://bucket/path`, as in the profile's `cluster.pipeline_root`); what is erased, or
            is too old, is left out there, too.
        feedback_url: SQLAlchemy URL of the database of prediction log and feedback; default SQLite
            under `home`.
        feedback_contradictions: the share of an API key's labels that may contradict the model;
            beyond it the labels wait for a person (`moodline feedback review`).
        feedback_share: the largest share of the labels that are trained on which may come from one
            API key; more are left out.
        trigger_url: SQLAlchemy URL of the trigger's database; default SQLite under `home`.
        trigger_token: bearer token for the trigger; never logged.
        pipeline_run: the pipeline's run that this process is a step of; its pods know it.
        runs: outputs of local pipeline runs; default `<home>/runs`.
        metrics: gauges (`.prom` files) of processes that end before Prometheus can scrape them;
            `moodline trigger serve` or node_exporter's textfile collector serves them. Where
            MOODLINE_METRICS is `s3://bucket/path`, `moodline trigger serve` reads them there.
        metrics_store: that store's URL.
        model_repository: Triton's; default `<home>/model_repository`. Where
            MOODLINE_MODEL_REPOSITORY is `s3://bucket/path`, it stays there, for this process alone,
            and Triton reads that store.
        model_repository_store: that store's URL.
        triton_env: Triton's own small Python environment; default `<home>/triton`.
        triton_url: host:port of a Triton's gRPC; empty: `moodline serve` starts one.
        kfp_host: address of a Kubeflow Pipelines API.
        kfp_token: bearer token for it; never logged.
        kfp_namespace: of the runs, if KFP has several users; empty: the profile's, or KFP's own.
        kfp_experiment: that the runs belong to.
        checkpoint_seconds: how much work a killed training may lose; 0 keeps every epoch.
        readers: processes that read the corpus for one that trains; 0: it reads itself. Default: on
            a GPU its share of the processors, 8 at most; else 0, as it computes on all of them.
        hub_token: for gated models on the hub, from MOODLINE_HUB_TOKEN or HF_TOKEN; never logged.
        log_format: what goes to standard error: text for people, or json, an object a line.
        git_commit: of the code in an image, which has no git; the image sets it.
        max_upload_megabytes: of a recording sent to the service.
        max_seconds: of a recording sent to the service.
    """

    model_config = SettingsConfigDict(
        env_prefix="MOODLINE_", frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Path(".moodline")
    mlflow_uri: str = _sqlite_in_home("mlflow.db")
    mlflow_artifacts: str = Field(
        default_factory=lambda data: str((data["home"] / "mlartifacts").resolve())
    )
    signing_key: SecretStr | None = None
    trusted_keys: str = ""
    models: Path = _in_home("models")
    cache: Path = _in_home("cache")
    cache_store: str = ""
    log: Path = _in_home("log")
    log_store: str = ""
    pipeline_root: str = ""
    feedback_url: str = _sqlite_in_home("feedback.db")
    feedback_contradictions: float = Field(default=0.8, gt=0, le=1)
    feedback_share: float = Field(default=0.5, gt=0, lt=1)
    trigger_url: str = _sqlite_in_home("trigger.db")
    trigger_token: SecretStr | None = None
    pipeline_run: str = ""
    runs: Path = _in_home("runs")
    metrics: Path = _in_home("metrics")
    metrics_store: str = ""
    model_repository: Path = _in_home("model_repository")
    model_repository_store: str = ""
    triton_env: Path = _in_home("triton")
    triton_url: str = ""
    kfp_host: str = ""
    checkpoint_seconds: float = 30.0
    readers: int | None = Field(default=None, ge=0)
    hub_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("MOODLINE_HUB_TOKEN", "HF_TOKEN")
    )
    kfp_token: SecretStr | None = None
    kfp_namespace: str = ""
    kfp_experiment: str = "moodline"
    log_format: Literal["text", "json"] = "text"
    git_commit: str = ""
    max_upload_megabytes: int = 200
    max_seconds: float = 4 * 3600

    @field_validator("home")
    @classmethod
    def _is_a_folder(cls, home: Path) -> Path:
        if home.exists() and not home.is_dir():
            raise ValueError("is a file; name a folder")
        return home

    @property
    def token(self) -> str | None:
        """The hub's token in plain text, for the libraries that fetch models."""
        return (self.hub_token.get_secret_value() or None) if self.hub_token else None

    def one_line(self, error: Exception) -> str:
        """A library's message in one line, without the token."""
        message = " ".join(str(error).split()) or type(error).__name__
        return message.replace(self.token, "…") if self.token else message

    @field_validator("mlflow_uri")
    @classmethod
    def _server_or_database(cls, uri: str) -> str:
        if uri.startswith(("sqlite:", "postgres")) or "+" in uri.partition(":")[0]:
            return database_address(uri)
        return server_address(uri)

    @field_validator("feedback_url", "trigger_url")
    @classmethod
    def _database(cls, url: str) -> str:
        return database_address(url)

    @model_validator(mode="before")
    @classmethod
    def _by_url(cls, values: dict[str, Any]) -> dict[str, Any]:
        urls = {n for n in _STORES if "://" in str(values.get(n, ""))}
        others = {name: value for name, value in values.items() if name not in urls}
        return others | {f"{name}_store": values[name] for name in urls}

    @field_validator(*(f"{name}_store" for name in _STORES), "pipeline_root")
    @classmethod
    def _object_store(cls, url: str) -> str:
        if url and not isinstance(located(url), Url):
            raise ValueError("is no object store; an example: s3://bucket/path")
        return url

    @property
    def finished(self) -> Cache:
        """Finished work by content, on this machine and in the store."""
        store = located(self.cache_store) if self.cache_store else None
        return Cache(self.cache, store if isinstance(store, Url) else None)

    @property
    def log_location(self) -> Location:
        """Where the prediction log keeps its key and sound: a folder, or one of a store."""
        return located(self.log_store) if self.log_store else self.log

    @property
    def metrics_location(self) -> Location:
        """Where gauges lie: a folder, or one of a store."""
        return located(self.metrics_store) if self.metrics_store else self.metrics

    @property
    def shared_repository(self) -> Url | None:
        """Triton's model repository in an object store, if it lies in one."""
        store = located(self.model_repository_store) if self.model_repository_store else None
        return store if isinstance(store, Url) else None

    def readers_of(self, processes: int, *, on_gpu: bool) -> int:
        """Processes that read the corpus for each of those that train here."""
        if self.readers is not None:
            return self.readers
        if not on_gpu:
            return 0
        return max(1, min(8, allowed_cores() // processes))

    def check_writable(self) -> None:
        """Refuse a home that cannot be written, before the work whose results it is to keep.

        Raises:
            InputError: it, or the cache, cannot be written by this user.
        """
        for folder in (self.home, self.cache):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                if is_disk_full(error):
                    raise
                raise InputError(
                    f"{folder}: cannot be written by user {os.getuid()}:"
                    f" {str(error.strerror).lower()}; on a cluster the volume must belong to the"
                    " pods' user: fsGroup 10001 in the pods' security context, or once:"
                    " chown -R 10001:10001"
                ) from None

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, paths absolute, for a child process."""
        values = self.model_dump(exclude=_SECRETS)
        return {
            f"MOODLINE_{name.upper()}": str(value.resolve() if isinstance(value, Path) else value)
            for name, value in values.items()
            if value is not None
        }
