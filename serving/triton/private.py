"""Run a program whose shared memory no other user can read: `python private.py PROGRAM ARGUMENT…`.

Triton's Python backend hands sound over in shared memory. It makes that with Boost, which sets the
mode 0644 by `fchmod` whatever the umask says, and has no option for another. So the kernel is told
(by a seccomp filter, which children inherit) to let `fchmod` do nothing: the umask's mode stays.

This file runs by itself, isolated, in the moment before it becomes the program.
"""

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
SECCOMP_MODE_FILTER = 2
ALLOW, SUCCEED = 0x7FFF0000, 0x00050000
"""What a filter returns: let the call through, or answer 0 without making it."""

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
SYSCALL, ARCHITECTURE = 0, 4
"""Offsets in `struct seccomp_data`."""

FCHMOD = {"x86_64": (0xC000003E, 91), "aarch64": (0xC00000B7, 52)}
"""The number of `fchmod`, with its architecture's (`linux/audit.h`)."""


class Program(ctypes.Structure):
    """`struct sock_fprog` of `linux/filter.h`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def without_fchmod() -> None:
    """Let `fchmod` do nothing in this process and in its children.

    Raises:
        OSError: the kernel refuses, or is for another processor.
    """
    if platform.machine() not in FCHMOD:
        raise OSError(f"not known for {platform.machine()}")
    architecture, number = FCHMOD[platform.machine()]
    instructions = (
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, 3, architecture),
        (LOAD, 0, 0, SYSCALL),
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, SUCCEED),
        (RETURN, 0, 0, ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = Program(len(instructions), ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*call):
            raise OSError(os.strerror(ctypes.get_errno()))


def main() -> None:
    """Become the program."""
    os.umask(0o077)
    try:
        without_fchmod()
    except OSError as error:
        sys.stderr.write(f"other users can read Triton's shared memory on this host: {error}\n")
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
