"""Makes Triton's own Python environment: `python -m serving.triton.environment` (in `make setup`).

Triton's Python backend runs its models in an interpreter of its own, which needs numpy below 2
(with numpy 2 a model turns ready and then answers with empty tensors), while the rest of Moodline
lives on numpy 2. So Triton gets a second, small environment; the tritonserver binary is in it.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.base import InputError

logger = logging.getLogger(__name__)

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STUB = "triton_python_backend_stub"


@dataclass(frozen=True)
class TritonEnvironment:
    """Where the parts of Triton's environment lie.

    Attributes:
        root: the environment's folder, absolute.
    """

    root: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.root / "bin" / "python"

    @property
    def home(self) -> Path:
        """The folder of the tritonserver distribution."""
        return self.root / "lib" / f"python{VERSION}" / "site-packages" / "pytriton/tritonserver"

    @property
    def server(self) -> Path:
        """The tritonserver binary."""
        return self.home / "bin" / "tritonserver"

    @property
    def backends(self) -> Path:
        """The folder that holds the Python backend."""
        return self.home / "backends"

    @property
    def stub(self) -> Path:
        """The program that hosts one Python model, as the backend looks for it."""
        return self.backends / "python" / STUB

    @property
    def libraries(self) -> Path:
        """A folder with a link to the interpreter's libpython, if the system's folders lack it."""
        return self.root / "lib" / "libpython"

    def variables(self) -> dict[str, str]:
        """The environment variables to start tritonserver with, all of them: nothing of the
        caller's, which may hold passwords and another Python.

        The stub takes the first `python3` on PATH, and libpython from `libraries` or from the
        system's folders.
        """
        return {
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "LD_LIBRARY_PATH": str(self.libraries),
        }

    def check(self) -> None:
        """Make sure that it is whole.

        Raises:
            InputError: a part is missing, with what to do.
        """
        for part in (self.server, self.stub):
            if not part.exists():
                raise InputError(f"Triton's environment lacks {part.name}; run make setup")


def install(root: Path, lock: Path) -> TritonEnvironment:
    """Make the environment and prove that its parts load.

    Args:
        root: its folder; one that is there is brought up to date.
        lock: the requirements with hashes; they are installed without their dependencies.

    Raises:
        InputError: a step failed or a system library is missing, with what to do.
    """
    environment = TritonEnvironment(root.resolve())
    if not environment.python.exists():
        _run("making the environment", sys.executable, "-m", "venv", "--without-pip", str(root))
    uv = Path(sys.executable).with_name("uv")
    _run(
        "installing Triton",
        *(str(uv) if uv.exists() else shutil.which("uv") or "uv", "pip", "install", "--quiet"),
        *("--python", str(environment.python), "--no-deps", "--require-hashes", "-r", str(lock)),
    )
    # A link, not a copy: the stub finds its libraries relative to where it really lies.
    environment.stub.unlink(missing_ok=True)
    environment.stub.symlink_to(f"../../python_backend_stubs/{VERSION}/{STUB}")
    _link_libpython(environment)
    environment.check()
    _check_libraries(environment)
    _run("loading onnxruntime", str(environment.python), "-c", "import numpy, onnxruntime")
    return environment


def _link_libpython(environment: TritonEnvironment) -> None:
    """Link only the libpython of this interpreter, so that it is found first."""
    name = f"libpython{VERSION}.so.1.0"
    source = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / name
    link = environment.libraries / name
    link.unlink(missing_ok=True)
    if source.exists():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(source)


def _check_libraries(environment: TritonEnvironment) -> None:
    variables = environment.variables()
    for binary in (environment.server, environment.stub):
        listing = subprocess.run(
            ["ldd", str(binary)], env=variables, capture_output=True, text=True, check=True
        ).stdout
        # What lies in the distribution's own folder is found by the binaries' own search path.
        missing = [line.split()[0] for line in listing.splitlines() if "not found" in line]
        if missing:
            advice = (
                f"apt-get install libpython{VERSION}"
                if any(name.startswith("libpython") for name in missing)
                else "install the packages that hold them"
            )
            raise InputError(f"{binary.name} lacks {', '.join(missing)}: {advice}")


def _run(what: str, *command: str) -> None:
    logger.info("%s", what)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[-300:]
        raise InputError(f"{what} failed: {reason or 'without a message'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: exit status 0 when the environment stands, 2 when it cannot."""
    parser = argparse.ArgumentParser(description="Make Triton's own Python environment.")
    parser.add_argument("--into", type=Path, default=Path(".moodline/triton"))
    parser.add_argument("--lock", type=Path, default=Path("infra/locks/triton.lock"))
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        install(chosen.into, chosen.lock)
    except InputError as error:
        logger.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
