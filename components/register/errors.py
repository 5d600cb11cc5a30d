"""What can go wrong with the registry."""

from components.base import InputError


class RegistryError(InputError):
    """The registry could not do what was asked: it is away, or does not hold what was named.

    Its text is one clear line.
    """


class Refused(RuntimeError):
    """The registry said no: the verdict does not allow it, or someone else was faster.

    Its text is one clear line. Nothing was changed.
    """
