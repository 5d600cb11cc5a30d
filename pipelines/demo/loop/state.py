"""The loop's own settings and profile, and the lock that lets one loop run at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from components.base import Unavailable
from components.config import Profile, Settings


def loop_settings(settings: Settings) -> Settings:
    """Settings with a home of the loop's own, whatever the environment names.

    Shared are only the models and Triton's environment, which are read, and the cache, where
    finished work lies under its content's digest.
    """
    return Settings(
        _env_prefix="MOODLINE_LOOP_",
        home=settings.home / "loop",
        models=settings.models,
        cache=settings.cache,
        triton_env=settings.triton_env,
    )  # type: ignore[call-arg]


def with_margin(profile: Profile, margin: float) -> Profile:
    """A profile whose gate lets a version be this much worse than production, and no more."""
    no_regression = profile.gate.no_regression
    if no_regression is None:
        return profile
    wider = no_regression.model_copy(update=dict.fromkeys(no_regression.margins(0), margin))
    gate = profile.gate.model_copy(update={"no_regression": wider})
    return profile.model_copy(update={"gate": gate})


@contextmanager
def only_loop(settings: Settings) -> Iterator[None]:
    """Hold the lock of the only loop in this home: two would delete each other's state.

    Raises:
        Unavailable: another loop holds it.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "loop.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another demo-loop runs in {settings.home}; wait for it") from None
        yield
