"""A Lease object of Kubernetes (coordination.k8s.io/v1), taken as its own components take theirs.

The rule is that of client-go's leaderelection: a Lease that did not change for as long as it says,
by the clock of who looks at it, is free. A write names the version that was read, and the API
server refuses it with 409 where that is no longer the newest. The package `kubernetes` has a
leaderelection of its own, which knows ConfigMaps only and cannot be stopped.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.base import InputError, Unavailable
from components.conversation import Seconds
from serving.supervisor import leases

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

TIMEOUT: tuple[Seconds, Seconds] = (2.0, 3.0)
"""To connect, and to be answered: an attempt and the next fit between two renewals."""


class KubernetesLease:
    """A Lease in the pod's namespace, or in the one that a kubeconfig's context names.

    Raises:
        InputError: this is no pod, and there is no kubeconfig.
    """

    lapses = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._api, self.namespace = _connect()
        self._seen: tuple[str, str] | None = None
        self._seen_at: Seconds = 0.0

    def hold(self, holder: str) -> bool:
        """As of `Lease`."""
        with self._answers():
            lease = self._read()
            if lease is None:
                return self._create(holder)
            spec = lease.spec or self._models.V1LeaseSpec()
            now = _now()
            if spec.holder_identity != holder:
                if spec.holder_identity and not self._is_stale(lease):
                    return False
                spec.lease_transitions = (spec.lease_transitions or 0) + 1
                spec.acquire_time = now
            spec.holder_identity, spec.renew_time = holder, now
            spec.acquire_time = _in_microseconds(spec.acquire_time or now)
            spec.lease_duration_seconds = int(leases.SECONDS)
            lease.spec = spec
            return self._replace(lease)

    def release(self, holder: str) -> None:
        """As of `Lease`."""
        with self._answers():
            lease = self._read()
            if lease is None or not lease.spec or lease.spec.holder_identity != holder:
                return
            lease.spec.holder_identity = ""
            lease.spec.acquire_time = _in_microseconds(lease.spec.acquire_time or _now())
            lease.spec.renew_time = _now()
            lease.spec.lease_duration_seconds = 1
            self._replace(lease)

    @property
    def _models(self) -> Any:
        from kubernetes import client

        return client

    def _is_stale(self, lease: Any) -> bool:
        """Whether it did not change for as long as it says."""
        seen = (lease.metadata.uid or "", lease.metadata.resource_version)
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at > (lease.spec.lease_duration_seconds or leases.SECONDS)

    def _read(self) -> Any:
        try:
            return self._api.read_namespaced_lease(self.name, self.namespace, **self._limits)
        except self._models.ApiException as error:
            if error.status == 404:
                return None
            raise

    def _create(self, holder: str) -> bool:
        now = _now()
        body = self._models.V1Lease(
            api_version="coordination.k8s.io/v1",
            kind="Lease",
            metadata=self._models.V1ObjectMeta(name=self.name),
            spec=self._models.V1LeaseSpec(
                holder_identity=holder,
                lease_duration_seconds=int(leases.SECONDS),
                acquire_time=now,
                renew_time=now,
                lease_transitions=0,
            ),
        )
        return self._written(self._api.create_namespaced_lease, self.namespace, body)

    def _replace(self, lease: Any) -> bool:
        # It holds the resourceVersion that was read.
        write = self._api.replace_namespaced_lease
        return self._written(write, self.name, self.namespace, lease)

    def _written(self, write: Any, *arguments: Any) -> bool:
        try:
            write(*arguments, **self._limits)
        except self._models.ApiException as error:
            if error.status == 409:  # another was faster
                return False
            raise
        return True

    @property
    def _limits(self) -> dict[str, Any]:
        return {"_request_timeout": TIMEOUT}

    @contextmanager
    def _answers(self) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        where = f"the Lease {self.namespace}/{self.name}"
        try:
            yield
        except self._models.ApiException as error:
            why = f"{error.status} {_message(error)}"
            if error.status in (401, 403):
                why += (
                    "; the pods' service account needs get, create and update of leases"
                    " (coordination.k8s.io): infra/kubernetes/base/leader.yaml"
                )
            raise Unavailable(f"{where}: the API server refuses: {why}") from None
        except HTTPError as error:
            reason = str(getattr(error, "reason", None) or error)
            raise Unavailable(f"{where}: the API server does not answer: {reason}") from None


def _now() -> datetime:
    return _in_microseconds(datetime.now(UTC))


def _in_microseconds(time: datetime) -> datetime:
    """A time that Python writes with a fraction: the API server takes none without."""
    return time.replace(microsecond=time.microsecond or 1)


def _message(error: Any) -> str:
    """What an API server's Status says."""
    try:
        return str(json.loads(error.body)["message"])[:300]
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _connect() -> tuple[Any, str]:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        if NAMESPACE.exists():
            config.load_incluster_config(client_configuration=configuration)
            namespace = NAMESPACE.read_text(encoding="utf-8").strip()
        else:
            config.load_kube_config(client_configuration=configuration)
            context = config.list_kube_config_contexts()[1]["context"]
            namespace = context.get("namespace", "default")
    except (config.ConfigException, OSError) as error:
        raise InputError(
            f"MOODLINE_SERVE_LEADER=kubernetes: this is no pod with a service account's token, and"
            f" there is no kubeconfig: {error}"
        ) from None
    configuration.retries = False  # the next attempt is soon enough
    return client.CoordinationV1Api(client.ApiClient(configuration)), namespace
