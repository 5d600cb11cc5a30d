"""Small pipelines that show what the bench does; none of them is Moodline's."""

from typing import Any

from kfp import dsl, kubernetes

from components.config import SLIM_IMAGE, Profile
from pipelines.definitions.placement import configure_lookup
from serving.triton.component import engines
from tests.cluster.conftest import CLAIM, MOUNT


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def make(folder: dsl.Output[dsl.Dataset], files: int) -> None:
    """A folder with so many files, and an empty folder in it."""
    from pathlib import Path

    path = Path(folder.path)
    (path / "empty").mkdir(parents=True)
    for index in range(files):
        (path / f"{index}.txt").write_text(str(index))


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def look(folder: dsl.Input[dsl.Dataset]) -> str:
    """What arrived of a folder."""
    from pathlib import Path

    path = Path(folder.path)
    return " ".join(sorted(p.name for p in path.iterdir())) if path.exists() else "nothing"


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def describe(place: str) -> str:
    """Where and as whom a step runs, and what it may do there."""
    import json
    import os
    import pwd
    import urllib.request
    import uuid
    from pathlib import Path

    def tried(action) -> str:  # type: ignore[no-untyped-def]
        try:
            action()
        except Exception as error:
            return type(error).__name__
        return "done"

    mlflow = os.environ.get("MOODLINE_MLFLOW_URI", "http://nobody:1")
    told = {
        "uid": os.getuid(),
        "name": tried(lambda: pwd.getpwuid(os.getuid())),
        "root": tried(lambda: Path("/file").write_text("")),
        "app": tried(lambda: Path("/app/file").write_text("")),
        "scratch": tried(lambda: Path("/tmp/file").write_text("")),
        "place": tried(lambda: Path(place, str(uuid.uuid4())).write_text("")),
        "service": tried(lambda: urllib.request.urlopen(f"{mlflow}/health", timeout=30)),
        "network": tried(lambda: urllib.request.urlopen("http://127.0.0.1:1", timeout=5)),
        "variables": sorted(os.environ),
    }
    return json.dumps(told)


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def hold(megabytes: int) -> int:
    """Hold so much memory for a moment; one more."""
    import time

    held = bytearray(megabytes << 20)
    for start in range(0, len(held), 4096):
        held[start] = 1
    time.sleep(0.5)
    return megabytes + 1


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def end(status: dsl.PipelineTaskFinalStatus) -> str:
    """What an exit handler is told."""
    return f"{status.state} {status.error_message or '-'}"


@dsl.component(base_image=SLIM_IMAGE, install_kfp_package=False)
def take(place: str, model: dsl.Output[dsl.Model]) -> None:
    """A model's folder from a volume."""
    import shutil

    shutil.copytree(place, model.path)


def proof(profile: Profile) -> Any:
    """A model, and the Tritons that make its engines."""

    @dsl.pipeline(name="proof")
    def proof() -> None:
        taken = take(place=f"{MOUNT}/model")
        kubernetes.mount_pvc(taken, CLAIM, MOUNT)
        taken.set_caching_options(False)
        assert profile.cluster.engines is not None
        makers = profile.cluster.engines.model_dump_json()
        made = engines(model=taken.outputs["model"], settings=makers)
        configure_lookup(made, "Make engines", profile.cluster)

    return proof


def folders(profile: Profile) -> Any:
    """A folder from one step to the next."""

    @dsl.pipeline(name="folders")
    def folders(files: int) -> None:
        look(folder=make(files=files).outputs["folder"])

    return folders


def surroundings(profile: Profile) -> Any:
    """A step on a volume."""

    @dsl.pipeline(name="surroundings")
    def surroundings() -> None:
        task = describe(place=MOUNT)
        kubernetes.mount_pvc(task, CLAIM, MOUNT)
        for name, value in profile.cluster.env.items():
            task.set_env_variable(name, value)
        task.set_caching_options(False)

    return surroundings


def memory(profile: Profile) -> Any:
    """A step with a limit of 200 MiB, and an exit handler."""

    @dsl.pipeline(name="memory")
    def memory(megabytes: int) -> None:
        with dsl.ExitHandler(end()):
            hold(megabytes=megabytes).set_memory_limit("200Mi").set_caching_options(False)

    return memory


def branches(profile: Profile) -> Any:
    """A step and a branch, and an exit handler."""

    @dsl.pipeline(name="branches")
    def branches(megabytes: int, taken: bool) -> None:
        with dsl.ExitHandler(end()):
            first = hold(megabytes=megabytes)
            with dsl.If(taken == True, name="taken"):  # noqa: E712
                hold(megabytes=first.output)

    return branches


def words(profile: Profile) -> Any:
    """A step with one long argument."""

    @dsl.pipeline(name="words")
    def words(text: str) -> None:
        describe(place=text)

    return words
