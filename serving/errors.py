"""What may go wrong with a request, whoever notices it."""

from components.base import InputError


class NotReadyError(RuntimeError):
    """A part does not answer as it should now, but may soon."""


class RefusedError(NotReadyError):
    """A model version failed its check, and there is none to serve in its stead."""


class LateError(RuntimeError):
    """The deadline passed before there was an answer."""


class BusyError(RuntimeError):
    """As many as may wait are waiting."""


class StoppedError(RuntimeError):
    """Nobody waits for the work any more."""


class TooLongError(InputError):
    """The recording is longer than this service takes."""


class NotAudioError(InputError):
    """The upload cannot be read as sound."""
