"""What may go wrong between the service and the model, whoever notices it."""


class NotReadyError(RuntimeError):
    """A part does not answer as it should now, but may soon."""


class LateError(RuntimeError):
    """The deadline passed before there was an answer."""
