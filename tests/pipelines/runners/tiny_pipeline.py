"""A pipeline of the shape of `retrain`, but quick: what the runner is tested with."""

from typing import Any

from kfp import dsl

from components.config import Profile


@dsl.component(base_image="python", install_kfp_package=False)
def make(says: str, data: dsl.Output[dsl.Dataset], lost: dsl.Output[dsl.Dataset]) -> str:
    """Writes one of its two outputs, and the other unless told to lose it."""
    import os
    from pathlib import Path

    Path(data.path).write_text(says)
    if says != "lost":
        Path(lost.path).mkdir()
    return os.environ["MOODLINE_HOME"]


@dsl.component(base_image="python", install_kfp_package=False)
def listen(data: dsl.Input[dsl.Dataset], shard: str, heard: dsl.Output[dsl.Dataset]) -> None:
    """A step that runs once for each of two shards."""
    from pathlib import Path

    if shard == "0/2":
        Path(heard.path).write_text(Path(data.path).read_text())
    else:
        Path(heard.path).touch()


@dsl.component(base_image="python", install_kfp_package=False)
def join(parts: dsl.Input[list[dsl.Dataset]], data: dsl.Output[dsl.Dataset]) -> None:
    """Puts the shards together again."""
    from pathlib import Path

    Path(data.path).write_text("".join(Path(part.path).read_text() for part in parts))


@dsl.component(base_image="python", install_kfp_package=False)
def decide(data: dsl.Input[dsl.Dataset]) -> str:
    """Gives back what was written, or fails in one of three ways, or needs room."""
    import time
    from pathlib import Path

    from components.base import InputError, Refused

    says = Path(data.path).read_text()
    if says == "large":
        Path(data.path).with_name("large").write_bytes(bytes(20_000_000))
    if says == "hang":
        time.sleep(600)
    if says == "input":
        raise InputError("x.wav: is empty; record something")
    if says == "raced":
        raise Refused("version 2 is not in production: bob was faster")
    if says == "boom":
        print("about to fall")
        raise RuntimeError("boom\nand more")
    return says


@dsl.component(base_image="python", install_kfp_package=False)
def register(data: dsl.Input[dsl.Dataset]) -> int:
    """Where the gate let it through; asks the registry first, as the real one does."""
    from components.config import Settings
    from components.register import alias_version

    return alias_version("production", Settings()) or 7


@dsl.component(base_image="python", install_kfp_package=False)
def promote(version: int) -> int:
    """Where that was wanted."""
    return version + 1


@dsl.component(base_image="python", install_kfp_package=False)
def refuse(data: dsl.Input[dsl.Dataset]) -> None:
    """Where the gate said no."""


@dsl.component(base_image="python", install_kfp_package=False)
def record(note: dsl.OutputPath(str), status: dsl.PipelineTaskFinalStatus) -> None:  # type: ignore[valid-type]
    """At the end, whatever the end."""
    from pathlib import Path

    Path(note).write_text(status.state)


def tiny_pipeline(profile: Profile) -> Any:
    """Build the pipeline, as `retrain_pipeline` does."""

    @dsl.pipeline(name="tiny")
    def tiny(says: str, wanted: bool = False) -> None:
        """The shape of `retrain`."""
        last = record().set_caching_options(enable_caching=False)
        with dsl.ExitHandler(last, name="tiny"):
            made = make(says=says)
            with dsl.ParallelFor([f"{i}/2" for i in range(2)], name="shards") as shard:
                part = listen(data=made.outputs["data"], shard=shard)
            joined = join(parts=dsl.Collected(part.outputs["heard"]))
            decided = decide(data=joined.outputs["data"]).set_retry(3, backoff_duration="60s")
            with dsl.If(decided.output != "fail", name="not refused"):
                version = register(data=made.outputs["data"])
                version.set_caching_options(enable_caching=False)
                with (
                    dsl.If(wanted == True, name="wanted"),  # noqa: E712
                    dsl.If(decided.output == "pass", name="passed"),
                ):
                    promoted = promote(version=version.output)
                    promoted.set_caching_options(enable_caching=False)
            with dsl.If(decided.output == "fail", name="refused"):
                refuse(data=made.outputs["data"]).set_caching_options(enable_caching=False)

    return tiny
