"""What can go wrong with the registry."""

from components.base import InputError, Refused

__all__ = ["Refused", "RegistryError"]


class RegistryError(InputError):
    """The registry could not do what was asked: it is away, or does not hold what was named.

    Its text is one clear line.
    """
