"""The registry is away, or what it names cannot be served: what is served instead."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from components.base import InputError
from components.config import Settings
from components.register import history, promote
from serving.errors import RefusedError
from serving.lineup import Served, halt_path, read_pointer
from serving.processes import free_ports
from serving.supervisor.backend import Backend, pointer_path
from serving.triton.server import TritonServer
from tests.serving.helpers import wait_until
from tests.serving.steered import HOST, TRAFFIC, answers, wrong
from tests.serving.versions import add, as_version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

MakeModel = Callable[[Path, int], Path]


@pytest.fixture
def settings(make_model: MakeModel, two: list[TritonServer], tmp_path: Path) -> Settings:
    """A registry with version 1 in production and a bad version 2; two Tritons."""
    urls = ",".join(server.grpc_url for server in two)
    repository = tmp_path / "repository"
    settings = Settings(home=tmp_path / "home", model_repository=repository, triton_url=urls)
    assert add(as_version(make_model(tmp_path / "1", 1)), settings) == 1
    assert add(wrong(as_version(make_model(tmp_path / "2", 2))), settings) == 2
    promote(1, settings, actor="a test")
    return settings


@pytest.fixture
def copy() -> Iterator[Callable[[Settings], Backend]]:
    """A copy of what steers the Tritons, started."""
    with ExitStack() as stack:

        def start(settings: Settings) -> Backend:
            traffic = TRAFFIC.model_copy(update={"canary_share": 0.5})
            backend = Backend(settings, pointer_path(settings, 0), traffic=traffic, host=HOST)
            backend.start()
            stack.callback(backend.stop)
            return backend

        yield start


def serve_and_stop(backend: Backend) -> None:
    assert backend.serve().version == 1
    backend.stop()


def test_without_the_registry_what_was_served_last_is_served(
    settings: Settings, copy: Callable[[Settings], Backend]
) -> None:
    serve_and_stop(copy(settings))
    away = settings.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{free_ports(1)[0]}"})
    assert copy(away).serve().version == 1


def test_without_the_registry_a_triton_of_ones_own_serves_what_was_served_last(
    settings: Settings, copy: Callable[[Settings], Backend]
) -> None:
    own = settings.model_copy(
        update={"triton_url": "", "triton_env": Settings().triton_env.resolve()}
    )
    serve_and_stop(copy(own))
    away = own.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{free_ports(1)[0]}"})
    backend = copy(away)
    assert backend.serve().version == 1
    assert backend.server and answers(backend.server, settings.home.parent / "1", 1)


def test_a_registry_without_a_production_version_is_not_away(
    settings: Settings, copy: Callable[[Settings], Backend]
) -> None:
    serve_and_stop(copy(settings))
    empty = Settings(
        home=settings.home.with_name("empty"),
        model_repository=settings.model_repository,
        triton_url=settings.triton_url,
    )
    with pytest.raises(InputError, match="no version is in production"):
        copy(empty).serve()


def test_where_a_version_is_refused_at_the_start_what_was_served_last_is_served(
    settings: Settings, two: list[TritonServer], copy: Callable[[Settings], Backend]
) -> None:
    with pytest.raises(RefusedError, match="version 2 takes no traffic"):
        (backend := copy(settings)).serve(Served(2, settings.home.parent / "2"))
    backend.stop()
    serve_and_stop(copy(settings))
    for server in two:  # they hold nothing any more
        server.stop(grace=0)
        server.start()
    promote(2, settings, actor="a test")
    assert copy(settings).serve().version == 1
    assert list(read_pointer(pointer_path(settings, 0)).refused) == [2]
    assert two[0].control.versions() == [1]


def test_a_version_that_was_deleted_by_hand_stays_served_and_the_log_says_so(
    settings: Settings, copy: Callable[[Settings], Backend], caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow import MlflowClient

    backend = copy(settings)
    assert backend.serve().version == 1
    MlflowClient(settings.mlflow_uri, settings.mlflow_uri).delete_model_version("moodline", "1")
    gone = (
        "version 1, which the history names, has been deleted from MLflow; version 1 stays served"
    )
    assert wait_until(lambda: gone in caplog.text, 60)
    backend.stop()
    assert caplog.text.count(gone) == 1
    assert copy(settings).serve().version == 1
    assert "what was served last is served again: version 1 is gone: it has been" in caplog.text


def test_it_waits_for_tritons_that_are_away(
    settings: Settings, two: list[TritonServer], copy: Callable[[Settings], Backend]
) -> None:
    for server in two:
        server.stop(grace=0)
    assert copy(settings).serve().version == 1
    assert not pointer_path(settings, 0).exists()
    two[1].start()
    assert wait_until(pointer_path(settings, 0).exists, 60)
    assert two[1].control.versions() == [1]


def test_a_canary_that_was_halted_stays_halted_when_the_service_starts_anew(
    settings: Settings, copy: Callable[[Settings], Backend], make_model: MakeModel
) -> None:
    pointer = pointer_path(settings, 0)
    staged = add(as_version(make_model(settings.home.parent / "3", 3)), settings)
    promote(staged, settings, actor="a test", to="staging")
    halt = halt_path(pointer)
    halt.parent.mkdir(parents=True, exist_ok=True)
    halt.write_text(f'{{"version": {staged}, "reason": "it was slow"}}')
    copy(settings).serve()
    assert wait_until(lambda: history(settings)[-1].action == "rollback", 60)
    assert history(settings)[-1].reason == "canary: it was slow"
    assert wait_until(lambda: not halt.exists(), 60), "the registry says that it has left"
    assert read_pointer(pointer).staging is None
