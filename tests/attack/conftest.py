"""The service that is attacked: the one that tests of serving start."""

from tests.serving.conftest import models, piece, service

__all__ = ["models", "piece", "service"]
