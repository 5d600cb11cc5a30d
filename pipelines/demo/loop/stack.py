"""The loop's servers: the service, the trigger, Prometheus and Alertmanager.

    callers ─> service ── scraped ──> Prometheus ── alerts ──> Alertmanager ── webhook ──> trigger
                  │                       └────────────── scrapes ───────────────────────────┤ │
                  └ log, feedback ──> moodline drift ── gauges ──────────────────────────────┘ │
                                └───────────────────────────────────────> moodline retrain <───┘

They listen on free ports of the loopback address. What they write lies in the loop's home.
"""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from components.base import InputError, Unavailable
from components.config import Profile, Settings
from components.conversation import Seconds
from pipelines.definitions.code_version import MOODLINE, ROOT
from pipelines.demo.loop.observe import HTTP_SECONDS, POLL_SECONDS, wait_for
from serving.processes import Child, free_ports

CONFIG = ROOT / "infra" / "prometheus"
INTERVAL = "1s"
"""Between two scrapes and two evaluations of the rules: in the loop, minutes stand for days."""

PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""The names that Debian gives the programs."""

START_SECONDS: Seconds = 300.0
"""The longest time until a server is ready."""

STOP_SECONDS: Seconds = 60.0


def prometheus_config(service: str, trigger: str, alertmanager: str) -> dict[str, Any]:
    """`infra/prometheus/prometheus.yaml` for servers at these addresses (host:port)."""
    config = yaml.safe_load((CONFIG / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    config["rule_files"] = [str(CONFIG / "rules.yaml")]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    addresses = {"moodline": service, "trigger": trigger}
    config["scrape_configs"] = [
        job | {"static_configs": [{"targets": [addresses[job["job_name"]]]}]}
        for job in config["scrape_configs"]
        if job["job_name"] in addresses
    ]
    return config


def alertmanager_config(trigger: str, token: Path) -> dict[str, Any]:
    """`infra/prometheus/alertmanager.yaml` for a trigger at this address; nobody else is notified.

    `token` is the file with the trigger's bearer token.
    """
    config = yaml.safe_load((CONFIG / "alertmanager.yaml").read_text(encoding="utf-8"))
    for receiver in config["receivers"]:
        if receiver["name"] != "trigger":
            receiver["webhook_configs"] = []
            continue
        (hook,) = receiver["webhook_configs"]
        hook["url"] = f"http://{trigger}/v1/alerts"
        hook["http_config"]["authorization"]["credentials_file"] = str(token.resolve())
    return config


class Stack:
    """All servers together, as a context manager; whatever ends it, none goes on running.

    Args:
        settings: the loop's.
        programs: the folder in which Prometheus and Alertmanager are unpacked.
        profile: what is served and retrained.
        corpus: what the trigger retrains on.
        environment: of the service and the trigger, in addition to the settings.

    Raises:
        InputError: Prometheus or Alertmanager is missing.

    Attributes:
        urls: where each server answers, by name.
    """

    def __init__(
        self,
        settings: Settings,
        programs: Path,
        profile: Profile,
        corpus: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._settings, self._profile, self._corpus = settings, profile, corpus
        self._home, self._programs = settings.home.resolve(), programs.resolve()
        self._environment = {**os.environ, **settings.environment(), **environment}
        names = ("service", "trigger", *PROGRAMS)
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._addresses = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        self.urls = {name: f"http://{address}" for name, address in self._addresses.items()}
        self._children: dict[str, Child] = {}
        for path in map(self._program, PROGRAMS):
            if not path.is_file():
                raise InputError(f"{path}: is not there; run: make demo-loop, which unpacks it")

    def start(self, on_wait: Callable[[str], None]) -> None:
        """Start all servers and wait until each is ready.

        `on_wait` is called with the names of the servers that are started next.

        Raises:
            Unavailable: a server does not come up.
        """
        on_wait("the service and the trigger")
        profile = ("--profile", self._profile.model_dump_json())
        token = secrets.token_urlsafe(24)
        self._start("service", *MOODLINE, "serve", *profile, "--port", self._ports["service"])
        self._environment["MOODLINE_TRIGGER_TOKEN"] = token
        command = ("trigger", "serve", *profile, "--promote", "--corpus", self._corpus)
        self._start("trigger", *MOODLINE, *command, "--port", self._ports["trigger"])
        self._wait_ready(f"{self.urls['service']}/readyz", f"{self.urls['trigger']}/healthz")
        on_wait("Prometheus and Alertmanager")
        token_file = self._home / "trigger-token"
        token_file.touch(0o600)
        token_file.write_text(token, encoding="utf-8")
        service, trigger, _, alertmanager = self._addresses.values()
        config = prometheus_config(service, trigger, alertmanager)
        storage = f"--storage.tsdb.path={self._home / 'prometheus'}"
        self._start_program("prometheus", config, storage)
        config = alertmanager_config(trigger, token_file)
        storage = f"--storage.path={self._home / 'alertmanager'}"
        self._start_program("alertmanager", config, storage, "--cluster.listen-address=")
        self._wait_ready(*(f"{self.urls[name]}/-/ready" for name in PROGRAMS))

    def _program(self, name: str) -> Path:
        return self._programs / "usr" / "bin" / PROGRAMS[name]

    def _start_program(self, name: str, config: Mapping[str, Any], *options: str) -> None:
        path = self._home / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        options += (f"--config.file={path}", f"--web.listen-address={self._addresses[name]}")
        # Debian's Alertmanager, unpacked, looks for its templates in its working folder.
        self._start(name, "env", f"--chdir={self._programs}", self._program(name), *options)

    def _start(self, name: str, *command: object) -> None:
        log = self._settings.home / "logs" / f"loop-{name}.log"
        words = [str(word) for word in command]
        self._children[name] = Child(words, self._environment, log, name)

    def _wait_ready(self, *urls: str) -> None:
        for url in urls:
            wait_for(partial(_answers, url), url, START_SECONDS, self.check)

    def check(self) -> None:
        """See that every server still runs.

        Raises:
            Unavailable: one has ended.
        """
        for child in self._children.values():
            if not child.running:
                words = " ".join(child.last_output(2).split())
                raise Unavailable(f"the {child.name} has ended: {words} (log: {child.log})")

    def stop(self) -> None:
        """Stop what could start a run, then the run, which outlives the trigger, then the rest."""
        # A second Ctrl-C must not interrupt the stopping.
        signals = (signal.SIGINT, signal.SIGTERM)
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
        for name in ("prometheus", "alertmanager", "trigger", "service"):
            if name == "trigger":
                self._stop_runs()  # the trigger takes note of their end
            if child := self._children.pop(name, None):
                child.stop(STOP_SECONDS)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def _stop_runs(self) -> None:
        from pipelines.trigger import PID

        for path in self._settings.runs.glob(f"trigger-*/{PID}"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(int(path.read_text(encoding="utf-8")), signal.SIGTERM)
            end = time.monotonic() + STOP_SECONDS
            while path.exists() and time.monotonic() < end:
                time.sleep(POLL_SECONDS)

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _answers(url: str) -> bool | None:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=HTTP_SECONDS).is_success or None
    return None
