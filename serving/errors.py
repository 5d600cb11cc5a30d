"""What may go wrong with a request, whoever notices it. Each kind has its HTTP status."""

from components.base import InputError, MoodlineError, Unavailable


class NotReadyError(Unavailable):
    """A part does not answer as it should now, but may soon."""


class NotSteeredError(NotReadyError):
    """A Triton lets nobody load a version, which is no fault of the version."""


class RefusedError(NotReadyError):
    """A model version failed its check, and there is none to serve in its stead."""


class NotLeadingError(MoodlineError):
    """This copy of the service may steer the Tritons no more."""


class LateError(MoodlineError):
    """The deadline passed before there was an answer."""

    exit_status = 2
    http_status = 504


class BusyError(MoodlineError):
    """As many as may wait are waiting."""

    exit_status = 2
    http_status = 429


class ErasedError(MoodlineError):
    """The recording was erased while it was being sent."""

    exit_status = 2
    http_status = 409


class RestartError(MoodlineError):
    """A live call cannot go on here; a new one may begin."""

    exit_status = 2
    http_status = 410


class TooLongError(InputError):
    """The recording is longer than this service takes."""

    http_status = 413


class NotAudioError(InputError):
    """The upload cannot be read as sound."""

    http_status = 415
