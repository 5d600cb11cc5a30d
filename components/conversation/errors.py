"""The one error that is the input's fault."""


class InputError(ValueError):
    """The request or the input is wrong.

    Its text is one line that names the file and the fault and says what to do. The command line
    prints it and exits with status 2; the service answers with a 4xx status.
    """
