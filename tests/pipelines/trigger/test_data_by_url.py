"""New data in an object store starts a run on a cluster with its URL, whole."""

import pytest

from components.base import InputError, Url
from pipelines.runners.request import RetrainRequest
from pipelines.trigger import data_cause
from pipelines.trigger.causes import NewData
from pipelines.trigger.start import request_for


def test_the_pods_get_the_url_whole() -> None:
    data = NewData.model_validate({"corpus": "s3://calls/2026/may", "id": "may"})
    cause = data_cause(data, None)
    assert (cause.key, cause.name) == ("data:may", "s3://calls/2026/may")
    request = request_for(cause, 1, RetrainRequest(corpus=Url("calls", "2026")))
    assert request.arguments()["corpus"] == "s3://calls/2026/may"


def test_a_password_in_it_is_refused() -> None:
    data = NewData.model_validate({"corpus": "s3://me:s3cr3t@calls/may", "id": "may"})
    with pytest.raises(InputError, match="holds credentials") as refused:
        data_cause(data, None)
    assert "s3cr3t" not in str(refused.value)
