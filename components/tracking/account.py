"""Who MLflow takes us for."""

from typing import TYPE_CHECKING

from components.base import parse_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENDPOINT = "/api/2.0/mlflow/users/current"


def account_name(client: "MlflowClient") -> str:
    """The account that a server with accounts has let in; "" where it has none, or is no server.

    A server with another kind of login than MLflow's own may not tell; then it is "", too.

    Raises:
        mlflow.exceptions.MlflowException: the server does not answer.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    if not client.tracking_uri.startswith(("http://", "https://")):
        return ""
    creds = get_default_host_creds(client.tracking_uri)
    answer = http_request(creds, _ENDPOINT, "GET", raise_on_status=False)
    if answer.status_code != 200:
        return ""
    try:
        return str(parse_json(answer.text, _ENDPOINT)["user"]["username"])
    except (ValueError, KeyError, TypeError):
        return ""  # a page, say
