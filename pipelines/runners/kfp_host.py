"""A Kubeflow Pipelines API: that it is there and new enough, and kfp's client of it."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.base import InputError, MoodlineError, Unavailable
from components.config import Settings

if TYPE_CHECKING:
    import httpx
    from kfp import Client

MINIMUM_KFP = (2, 15)
"""The oldest backend that takes the compiled pipelines; Kubeflow 1.11 ships it.

`dsl.Collected` of artifacts is resolved since 2.14. The compiler says of each secret whether it is
`optional`; the backend, which refuses fields that it does not know, knows that one since 2.15.
"""

TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
TOKEN_FILE = "/var/run/secrets/kubeflow/pipelines/token"
"""Where a pod finds the token of its service account, if it has one for Kubeflow Pipelines."""


@contextlib.contextmanager
def kfp_client(settings: Settings) -> Iterator[tuple["Client", str]]:
    """A client of the host, and the host's version ("" where it does not say).

    Every fault of the host is one line; kfp's chatter goes to standard error.

    Raises:
        InputError: no host, one that refuses, is no Kubeflow Pipelines or too old a one; a token
            file that cannot be read.
        Unavailable: the host does not answer, or fails itself (500 and above).
    """
    host = check_host_named(settings)
    token = settings.kfp_token.get_secret_value() if settings.kfp_token else None
    file = None if token else _token_file()
    version = _check_host(host, _read_token(file) if file else token)
    import kfp
    from kfp.client import ServiceAccountTokenVolumeCredentials
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            client = kfp.Client(
                host=host,
                existing_token=token,
                # Read anew for each request: the kubelet renews it every hour.
                credentials=ServiceAccountTokenVolumeCredentials(str(file)) if file else None,
                namespace=settings.kfp_namespace or "kubeflow",
            )
            yield client, version
    except ApiException as error:
        raise _refusal(host, error.status, error.body) from error
    except HTTPError as error:
        raise Unavailable(f"{host}: went away ({' '.join(str(error).split())})") from error


def check_host_named(settings: Settings) -> str:
    """The host's address, without asking it.

    Raises:
        InputError: none is named, or what is named is no address.
    """
    host = settings.kfp_host.rstrip("/")
    if not host.startswith(("http://", "https://")):
        given = host or "no Kubeflow Pipelines host"
        advice = "name one in MOODLINE_KFP_HOST or with --host, as https://…"
        raise InputError(f"{given}: {advice}")
    return host


def _token_file() -> Path | None:
    """The file with the token of the pod's service account; None where there is none."""
    named = os.environ.get(TOKEN_VARIABLE)
    if named:
        return Path(named)
    return Path(TOKEN_FILE) if Path(TOKEN_FILE).is_file() else None


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{TOKEN_VARIABLE}={file}: cannot be read ({error})") from None
    if not token:
        raise InputError(f"{TOKEN_VARIABLE}={file}: is empty; it should hold a token")
    return token


def _check_host(host: str, token: str | None) -> str:
    """Find out at once whether KFP is there, which its client would try for half a minute.

    Returns:
        Its version, "" where it does not say.
    """
    import httpx

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(f"{host}/apis/v2beta1/healthz", headers=headers, timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = f"{host}: does not answer ({error}); is MOODLINE_KFP_HOST right?"
        raise Unavailable(message) from None
    if answer.is_error:
        raise _refusal(host, answer.status_code, answer.text)
    version = _version(host, answer)
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < MINIMUM_KFP:
        least = ".".join(map(str, MINIMUM_KFP))
        raise InputError(
            f"{host}: is Kubeflow Pipelines {version}; the pipelines need {least} or newer"
            " (Kubeflow 1.11)"
        )
    return version if numbers else ""


def _version(host: str, answer: "httpx.Response") -> str:
    """What the API's health says of its version: the tag of its image."""
    if answer.headers.get("content-type", "").startswith("application/json"):
        with contextlib.suppress(ValueError):
            content = answer.json()
            if isinstance(content, dict):
                return str(content.get("tag_name") or "")
    raise InputError(f"{host}: answers, but is no Kubeflow Pipelines API (v2)")


def _refusal(host: str, status: int, body: str | None) -> MoodlineError:
    """What a host's refusal means; one of 500 or above is no fault of the request."""
    if status in (401, 403):
        refusal = "knows no such token" if status == 401 else "does not allow it"
        advice = "set MOODLINE_KFP_TOKEN to a token that may, or give the pod's account the right"
        return InputError(f"{host}: {refusal} ({status}); {advice}")
    try:
        message = str(json.loads(body or "")["error_message"])
    except (ValueError, KeyError, TypeError):
        message = (body or "it said nothing").strip()
    first_line = message.partition("\n")[0]
    kind = Unavailable if status >= 500 else InputError
    return kind(f"{host}: refuses ({status}): {first_line[:300]}")
