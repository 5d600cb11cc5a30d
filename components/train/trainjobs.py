"""Kubeflow TrainJobs through the API of Kubernetes: made, followed to their end, deleted.

Their conditions are those of `pkg/apis/trainer/v1alpha1/trainjob_types.go` (Kubeflow Trainer 2.0 to
2.3): Complete, Failed, Suspended. Their pods carry the labels of JobSet.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.base import InputError, MoodlineError, Unavailable
from components.train.pod_logs import before_report, readable

logger = logging.getLogger(__name__)

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"

AWAY_SECONDS = 600.0
"""So long the API may be away before waiting for a job is given up; the job itself goes on."""

POLL_SECONDS = 5.0
REMIND_SECONDS = 600.0
"""A job that does not get on is told again after this."""

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LIMITS = (10, 60)
"""For a connection and for an answer, in seconds."""

_TAIL = 400
"""Lines of a failed pod that are read: torchrun's report alone has 40, and each process may add
its traceback."""

_SHOWN = 40
"""Lines of a failed pod that are shown."""

_OURS = "moodline: "
"""A line of the training that says what is wrong begins with this."""


class TrainJobFailed(MoodlineError):
    """A TrainJob failed, and its pods did not say that the input is wrong."""


@dataclass
class TrainJobs:
    """The TrainJobs of one namespace.

    Attributes:
        namespace: empty: that of this pod.
        away: so many seconds the API may be away.
        poll: seconds between two looks.
    """

    namespace: str = ""
    away: float = AWAY_SECONDS
    poll: float = POLL_SECONDS
    _told: str = field(default="", init=False)
    _told_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        from kubernetes import client, config

        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config()
            else:  # a person's own machine
                config.load_kube_config(os.environ.get("KUBECONFIG"))
        except config.ConfigException as error:
            message = f"there is no way to Kubernetes' API from here: {error}"
            raise InputError(message) from None
        if not self.namespace:
            own = _NAMESPACE.read_text(encoding="utf-8") if _NAMESPACE.exists() else "default"
            self.namespace = own.strip()
        self._jobs, self._pods = client.CustomObjectsApi(), client.CoreV1Api()
        self._place = (GROUP, VERSION, self.namespace, PLURAL)

    def find(self, name: str) -> dict[str, Any] | None:
        """The job of a name, if there is one.

        Raises:
            InputError: the pods' account may not look for one.
            Unavailable: the API was away for too long.
        """
        from kubernetes.client import ApiException

        try:
            job: dict[str, Any] = self._ask(
                self._jobs.get_namespaced_custom_object, *self._place, name
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._fault(error) from None
        return job

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make a job; one of that name that is there already is this very one.

        Raises:
            InputError: the API refuses it, or knows no TrainJobs.
            Unavailable: the API was away for too long.
        """
        from kubernetes.client import ApiException

        try:
            self._ask(
                self._jobs.create_namespaced_custom_object, *self._place, dict(manifest),
                # Otherwise a field that this version does not know would be dropped in silence.
                field_validation="Strict",
            )  # fmt: skip
        except ApiException as error:
            # The answer to an earlier try may have been lost.
            if error.status != 409:
                raise self._fault(error) from None

    def delete(self, name: str, *, wait: bool = True) -> None:
        """Delete a job and its pods, if it is there.

        Raises:
            InputError: the pods' account may not.
            Unavailable: the API was away for too long.
        """
        from kubernetes.client import ApiException

        try:
            self._ask(
                self._jobs.delete_namespaced_custom_object, *self._place, name,
                propagation_policy="Foreground",
            )  # fmt: skip
        except ApiException as error:
            if error.status != 404:
                raise self._fault(error) from None
        while wait and self.find(name) is not None:
            self._tell(f"TrainJob {name} is being deleted")
            time.sleep(self.poll)

    def await_end(self, name: str) -> None:
        """Wait until a job is complete; say what it waits for and how far it is.

        Raises:
            InputError: a pod said what is wrong with the input.
            TrainJobFailed: the job failed otherwise, or somebody deleted it.
            Unavailable: the API was away for too long.
        """
        while (job := self.find(name)) is not None:
            conditions = conditions_of(job)
            if "Complete" in conditions:
                return
            pods = self._pods_of(name)
            if failed := conditions.get("Failed"):
                raise self._failure(name, failed, pods)
            if suspended := conditions.get("Suspended"):
                why = suspended.get("message", "")
                self._tell(
                    f"TrainJob {name} is suspended, and waits for its queue to admit it ({why})"
                )
            else:
                self._tell(f"TrainJob {name}: {self._progress(job, pods)}")
            time.sleep(self.poll)
        raise TrainJobFailed(f"TrainJob {name}: somebody deleted it before it was complete")

    def _progress(self, job: Mapping[str, Any], pods: list[Any]) -> str:
        """How many pods run, what others wait for, and the last line of the first one."""
        nodes = job["spec"].get("trainer", {}).get("numNodes", 1)
        running = [pod for pod in pods if pod.status.phase == "Running"]
        waits = sorted({why for pod in pods if (why := _waits_for(pod))})
        text = f"{len(running)} of {nodes} nodes run" + (f" ({'; '.join(waits)})" if waits else "")
        lines = self._log(running[0], 1) if running else []
        return f"{text}: {lines[-1]}" if lines else text

    def _failure(self, name: str, failed: Mapping[str, Any], pods: list[Any]) -> MoodlineError:
        """What the job's end is to whoever started it; the pod's last lines go to the log."""
        reason = f"{failed.get('reason', '')}: {failed.get('message', '')}".strip(": ")
        ended = sorted((when, pod.metadata.name, pod) for pod in pods if (when := _failed_at(pod)))
        if not ended:
            return TrainJobFailed(f"TrainJob {name} failed: {reason}; no pod of it is left to ask")
        _, pod_name, pod = ended[0]
        lines, status = before_report(self._log(pod, _TAIL))
        logger.error("the last lines of pod %s:\n%s", pod_name, "\n".join(lines[-_SHOWN:]))
        said = [line for line in lines if line.startswith(_OURS)]
        if said:
            return InputError(said[-1].removeprefix(_OURS))
        last = lines[-1] if lines else "it printed nothing"
        last += f" (exit status {status})" if status else ""
        return TrainJobFailed(f"TrainJob {name} failed: {reason}; pod {pod_name}: {last}")

    def _pods_of(self, name: str) -> list[Any]:
        """Its pods, by name: the first one is of the first node."""
        from kubernetes.client import ApiException

        selector = f"jobset.sigs.k8s.io/jobset-name={name}"
        try:
            found = self._ask(
                self._pods.list_namespaced_pod, self.namespace, label_selector=selector
            )
        except ApiException as error:
            # It is for people only: the training does not need it.
            self._tell(str(self._fault(error)))
            return []
        return sorted(found.items, key=lambda pod: pod.metadata.name)

    def _log(self, pod: Any, lines: int) -> list[str]:
        """The last lines that a pod printed; none where there are none to be had."""
        from kubernetes.client import ApiException

        def read(name: str, **options: Any) -> str:
            # As it is: the client would turn a line of JSON into an object of Python's.
            answer = self._pods.read_namespaced_pod_log(
                name, self.namespace, tail_lines=lines, _preload_content=False, **options
            )
            return str(answer.data, "utf-8", "replace")

        try:
            return readable(self._ask(read, pod.metadata.name))
        except ApiException as error:
            return [f"its log cannot be read: {_message(error)}"]

    def _tell(self, text: str) -> None:
        """Say what changed; and what did not change, now and then."""
        now = time.monotonic()
        if text != self._told or now - self._told_at > REMIND_SECONDS:
            logger.info("%s", text)
            self._told, self._told_at = text, now

    def _ask(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Ask the API; while it is away, ask again.

        Raises:
            ApiException: it refuses.
            Unavailable: it was away for too long.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        since = time.monotonic()
        warned = False
        while True:
            try:
                return request(*arguments, **options, _request_timeout=_LIMITS)
            except (ApiException, HTTPError, OSError) as error:
                status = getattr(error, "status", None) or 0
                if 400 <= status < 500 and status not in (408, 429):
                    raise
                why = _message(error)
            if time.monotonic() - since > self.away:
                raise Unavailable(
                    f"Kubernetes' API does not answer ({why}); a TrainJob that runs goes on, and"
                    " the next try of this step waits for it"
                )
            if not warned:
                logger.warning("Kubernetes' API does not answer (%s); it is asked again", why)
                warned = True
            time.sleep(self.poll)

    def _fault(self, error: Any) -> MoodlineError:
        """A refusal of the API as one line that says what to do."""
        message = _message(error)
        if error.status == 401:
            return InputError(f"Kubernetes does not know this pod's account: {message}")
        if error.status == 403:
            return InputError(
                f"Kubernetes does not allow it: {message}; give the pods' account the Role of"
                " infra/kubernetes/training"
            )
        if error.status == 404 and "namespaces" not in message:
            return InputError(
                "this cluster knows no TrainJobs: install Kubeflow Trainer 2, or set cluster.nodes"
                " to 1"
            )
        return InputError(
            f"Kubernetes does not take the TrainJob: {message}; see whether cluster.trainer names"
            " the version that is installed"
        )


def conditions_of(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The conditions of a job that hold, by type."""
    conditions = job.get("status", {}).get("conditions", ())
    return {c["type"]: c for c in conditions if c["status"] == "True"}


def _message(error: Exception) -> str:
    """What the API says of an error, in one line."""
    try:
        return str(json.loads(getattr(error, "body", None) or "")["message"])
    except (ValueError, TypeError, KeyError):
        reason = getattr(error, "reason", None) or error
        return " ".join(str(reason).split())[:300]


def _waits_for(pod: Any) -> str:
    """Why a pod's container does not start yet: "ErrImagePull", say."""
    states = [status.state.waiting for status in pod.status.container_statuses or ()]
    if reasons := [state.reason for state in states if state and state.reason]:
        return str(reasons[0])
    conditions = pod.status.conditions or ()
    return next((c.reason for c in conditions if c.status == "False" and c.reason), "")


def _failed_at(pod: Any) -> str:
    """When the first container of a pod ended with a fault; empty: none did."""
    ended = [status.state.terminated for status in pod.status.container_statuses or ()]
    return min((str(e.finished_at) for e in ended if e and e.exit_code), default="")
