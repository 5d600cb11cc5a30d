"""The names by which the service may be asked, as its operator lists them."""

import ipaddress
import re

ANY_HOST = "*"
"""In the list: any name."""

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)


def host_names(listed: str) -> frozenset[str]:
    """The names of a list, in lower case.

    Args:
        listed: names or addresses, separated by commas; `*` stands for any.

    Raises:
        ValueError: one of them is no host's name, as browsers send it.
    """
    names = frozenset(name.strip().lower() for name in listed.split(",")) - {""}
    for name in sorted(names - {ANY_HOST}):
        if not (is_address(name) or _NAME.fullmatch(name)):
            raise ValueError(
                f"{name[:100]!r} is no host's name; write moodline.example.com alone, without"
                " scheme, port, path or a dot at its end, or * for any name"
            )
    return names


def is_address(name: str) -> bool:
    """Whether this is an IP address, without brackets."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
