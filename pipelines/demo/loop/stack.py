"""The loop's parts: the service, the trigger, Prometheus and Alertmanager, each the real one.

    callers ─> service ── scraped ──> Prometheus ── alerts ──> Alertmanager ── webhook ──> trigger
                  │                       └────────────── scrapes ───────────────────────────┤ │
                  └ log, feedback ──> moodline drift ── gauges ──────────────────────────────┘ │
                                └───────────────────────────────────────> moodline retrain <───┘

They listen on loopback, on free ports; what they write lies in the loop's home.
"""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from components.base import InputError
from components.config import Profile, Settings
from components.conversation import Seconds
from pipelines.definitions.code_version import MOODLINE, ROOT

if TYPE_CHECKING:
    from serving.processes import Child

PLACE = ROOT / "infra" / "prometheus"
INTERVAL = "1s"
"""Between two scrapes, and two looks at the rules: in the loop minutes stand for days."""

PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""As Debian calls them."""

START: Seconds = 300.0
"""The longest that a part may take until it is ready."""

STOP: Seconds = 60.0


def prometheus_config(service: str, trigger: str, alertmanager: str) -> dict[str, Any]:
    """`infra/prometheus/prometheus.yaml` for parts that listen here.

    Args:
        service, trigger, alertmanager: host:port of each.
    """
    config = yaml.safe_load((PLACE / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    config["rule_files"] = [str(PLACE / "rules.yaml")]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    here = {"moodline": service, "trigger": trigger}
    config["scrape_configs"] = [
        job | {"static_configs": [{"targets": [here[job["job_name"]]]}]}
        for job in config["scrape_configs"]
        if job["job_name"] in here
    ]
    return config


def alertmanager_config(trigger: str, token: Path) -> dict[str, Any]:
    """`infra/prometheus/alertmanager.yaml` for a trigger that listens here; people are nowhere.

    Args:
        trigger: its host:port.
        token: the file that holds what it asks for.
    """
    config = yaml.safe_load((PLACE / "alertmanager.yaml").read_text(encoding="utf-8"))
    for receiver in config["receivers"]:
        if receiver["name"] != "trigger":
            receiver["webhook_configs"] = []
            continue
        (hook,) = receiver["webhook_configs"]
        hook["url"] = f"http://{trigger}/v1/alerts"
        hook["http_config"]["authorization"]["credentials_file"] = str(token.resolve())
    return config


def _program(folder: Path, name: str) -> str:
    path = folder / "usr" / "bin" / name
    if not path.is_file():
        raise InputError(f"{path}: is not there; run: make demo-loop, which unpacks it")
    return str(path)


def _write(path: Path, config: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")


class Stack:
    """All parts together, as a context manager; whatever ends it, nothing goes on running.

    Args:
        settings: of the loop.
        programs: the folder that Prometheus and Alertmanager are unpacked in.
        profile: what is served and retrained.
        corpus: that the trigger retrains on.
        environment: of the service and the trigger, beside the settings'.

    Raises:
        InputError: Prometheus or Alertmanager is not there.

    Attributes:
        service, trigger, prometheus, alertmanager: where each answers.
    """

    def __init__(
        self,
        settings: Settings,
        programs: Path,
        profile: Profile,
        corpus: Path,
        environment: Mapping[str, str],
    ) -> None:
        from serving.processes import free_ports

        self._settings = settings
        self._folder = programs.resolve()
        self._programs = {name: _program(self._folder, file) for name, file in PROGRAMS.items()}
        self._profile, self._corpus = profile, corpus
        self._environment = {**os.environ, **settings.environment(), **environment}
        self._ports = free_ports(4)
        self.service, self.trigger, self.prometheus, self.alertmanager = (
            f"http://127.0.0.1:{port}" for port in self._ports
        )
        self._children: list[Child] = []

    def start(self, told: Callable[[str], None]) -> None:
        """Start all parts; returns when each is ready.

        Args:
            told: called with the name of each before it is waited for.

        Raises:
            InputError: a part does not come up.
        """
        home = self._settings.home.resolve()
        token, secret = home / "trigger-token", secrets.token_urlsafe(24)
        token.touch(0o600)
        token.write_text(secret, encoding="utf-8")
        service, trigger, prometheus, alertmanager = (f"127.0.0.1:{port}" for port in self._ports)
        _write(home / "prometheus.yaml", prometheus_config(service, trigger, alertmanager))
        _write(home / "alertmanager.yaml", alertmanager_config(trigger, token))
        asked = ["--profile", self._profile.model_dump_json(), "--port"]
        told("the service and the trigger")
        self._start("service", [*MOODLINE, "serve", *asked, str(self._ports[0])])
        command = ["trigger", "serve", *asked, str(self._ports[1]), "--promote"]
        command += ["--corpus", str(self._corpus)]
        self._start("trigger", [*MOODLINE, *command], {"MOODLINE_TRIGGER_TOKEN": secret})
        self._wait(f"{self.service}/readyz")
        self._wait(f"{self.trigger}/healthz")
        told("Prometheus and Alertmanager")
        for name, address, options in (
            ("prometheus", prometheus, [f"--storage.tsdb.path={home / 'prometheus'}"]),
            (
                "alertmanager",
                alertmanager,
                [f"--storage.path={home / 'alertmanager'}", "--cluster.listen-address="],
            ),
        ):
            options += [f"--config.file={home / name}.yaml", f"--web.listen-address={address}"]
            # Debian's Alertmanager, unpacked, looks for its templates in the folder it starts in.
            self._start(name, ["env", f"--chdir={self._folder}", self._programs[name], *options])
        for url in (self.prometheus, self.alertmanager):
            self._wait(f"{url}/-/ready")

    def _start(self, name: str, command: Sequence[str], more: Mapping[str, str] = {}) -> None:
        from serving.processes import Child

        log = self._settings.home / "logs" / f"loop-{name}.log"
        self._children.append(Child(command, {**self._environment, **more}, log, name))

    def _wait(self, url: str) -> None:
        import httpx

        end = time.monotonic() + START
        while True:
            self.check()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url, timeout=10).is_success:
                    return
            if time.monotonic() > end:
                raise InputError(f"{url} is not ready within {START:g} s; see {self._logs}")
            time.sleep(0.2)

    @property
    def _logs(self) -> Path:
        return self._settings.home / "logs"

    def check(self) -> None:
        """See that every part still runs.

        Raises:
            InputError: one has ended; its last words.
        """
        for child in self._children:
            if not child.running:
                says = " ".join(child.last_words(2).split())
                raise InputError(f"the {child.name} has ended: {says} (log: {child.log})")

    def stop(self) -> None:
        """Stop what could start a run, then the run, which outlives the trigger, then the rest."""
        # A second Ctrl-C must not interrupt the stopping.
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
        running = {child.name: child for child in self._children}
        for name in ("prometheus", "alertmanager", "trigger", "service"):
            if name == "trigger":
                self._stop_runs()
            if name in running:
                running[name].stop(STOP)
        self._children.clear()
        for number, handler in before.items():
            signal.signal(number, handler)

    def _stop_runs(self) -> None:
        from pipelines.trigger import PID

        for path in self._settings.runs.glob(f"trigger-*/{PID}"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.kill(int(path.read_text(encoding="utf-8")), signal.SIGTERM)
            end = time.monotonic() + STOP
            while path.exists() and time.monotonic() < end:
                time.sleep(0.1)

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
