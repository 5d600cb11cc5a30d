"""Causes of a retraining: as they are sent, and with the key that a repetition shares."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from components.base import InputError, Location, located
from components.register import clipped

Kind = Literal["alert", "data"]

_WHERE = {
    "pod", "instance", "container", "endpoint", "job", "service", "node",
    "prometheus", "prometheus_replica",
}  # fmt: skip
"""Labels that say who was asked. A pod that starts anew changes them, and the cause stays."""


class Alert(BaseModel):
    """One alert of a webhook; what else Alertmanager sends is not asked for."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts: AwareDatetime = Field(alias="startsAt")
    fingerprint: str = Field(pattern=r"^[0-9a-f]{1,64}$")
    url: str = Field("", alias="generatorURL", max_length=2000)

    @property
    def key(self) -> str:
        """The same for the same alert on the same thing (a version, say), whoever was asked.

        Alertmanager's fingerprint covers every label, so it changes with a pod's name.
        """
        name = clipped(self.labels.get("alertname", "unnamed"), 100)
        about = {label: text for label, text in self.labels.items() if label not in _WHERE}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        return f"alert:{name}:{digest[:16]}"


class Webhook(BaseModel):
    """What Alertmanager posts (version 4)."""

    version: Literal["4"]
    group: str = Field(alias="groupKey")
    alerts: list[Alert] = Field(max_length=1000)


class NewData(BaseModel):
    """New labelled data: what to train on from now on."""

    model_config = ConfigDict(extra="forbid")

    corpus: Path | None = Field(
        None,
        description="A labelled corpus, in place of the one the receiver was started with; on"
        " kubeflow, as the pods see it, or s3://bucket/path.",
    )
    feedback: Path | None = Field(
        None,
        description="What `moodline feedback export` wrote; trained on only. On kubeflow, as the"
        " pods see it, s3://bucket/path, or log: what the prediction log's database holds.",
    )
    id: str = Field(
        "",
        pattern=r"^[\w.:/-]{0,100}$",
        description="Names this state of it; default: the digest of what lies there.",
    )
    reason: str = Field("new labelled data", max_length=300, pattern=r"^[^\r\n]*$")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a retraining should start.

    Attributes:
        key: the same cause has the same.
        kind: an alert, or new data.
        name: the alert's, or the data's folder.
        reason: one line.
        url: where the alert can be looked at; "" for data.
        since: when the alert began to fire; None for data, which comes once.
        corpus: to train on; None: the usual one.
        feedback: to train on beside it; None: what has come back so far. On kubeflow it may be
            `Path("log")`, which is just that.
    """

    key: str
    kind: Kind
    name: str
    reason: str
    url: str = ""
    since: datetime | None = None
    corpus: Location | None = None
    feedback: Location | None = None

    @property
    def link(self) -> str:
        """What leads from a run back to it: its key, and where it can be looked at."""
        return f"{self.key} {self.url}".rstrip()


def alert_cause(alert: Alert) -> Cause:
    """What an alert stands for."""
    name = alert.labels.get("alertname", "unnamed")
    summary = " ".join(alert.annotations.get("summary", "").split())
    reason = clipped(summary or name, 300)
    return Cause(
        key=alert.key, kind="alert", name=clipped(name, 200), reason=reason, url=alert.url,
        since=alert.starts,
    )  # fmt: skip


def data_cause(data: NewData, root: Path | None) -> Cause:
    """What new data stands for; it is read, and so checked, where it lies on this machine.

    Args:
        root: the folder that it must lie in; None: it lies where only a cluster's pods see it, and
            has to bring an id.

    Raises:
        InputError: it names nothing, lies elsewhere, or has a fault.
    """
    both = {"corpus": data.corpus, "feedback": data.feedback}
    folders = {name: path for name, path in both.items() if path is not None}
    if not folders:
        raise InputError("name a corpus or feedback")
    if root is None:
        if not data.id:
            raise InputError("the data lies on a cluster: give an id that names this state of it")
        # A path has lost one of an URL's slashes.
        places = {name: located(path) for name, path in folders.items()}
        place, feedback = places.get("corpus"), places.get("feedback")
        digests, name = [data.id], " and ".join(map(str, places.values()))
    else:
        folders = {name: _within(root, path) for name, path in folders.items()}
        digests = [data.id or _digest(name, path) for name, path in folders.items()]
        place, feedback = folders.get("corpus"), folders.get("feedback")
        name = " and ".join(map(str, folders.values()))
    key = ":".join(["data", *dict.fromkeys(digests)])
    return Cause(
        key=key, kind="data", name=name[:200], reason=data.reason,
        corpus=place, feedback=feedback,
    )  # fmt: skip


def _within(root: Path, path: Path) -> Path:
    folder = (root / path).resolve()
    if not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        raise InputError(f"{path}: no folder in the one that new data lies in (--data)")
    return folder


def _digest(name: str, path: Path) -> str:
    from components.conversation import read_manifest
    from components.corpus import corpus_digest, read_corpus

    return corpus_digest(read_manifest(path) if name == "feedback" else read_corpus(path))
