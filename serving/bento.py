"""Build the service as a Bento with its speech models, so that nothing is fetched when it runs.

`make bento` calls this, and `bentoml serve moodline:latest` runs the result. It brings no Triton.
Without one (`MOODLINE_TRITON_URL`, `MOODLINE_SERVE_POINTER`) it aligns, and answers 503 to what
needs emotions. Its speech models are the demo's: a version that was made with others gets 503, too.
`make bento-image` puts it into a container image, on top of the `cpu` image.
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from components.base import InputError
from components.config import Settings

PACKAGES = ("components", "serving")


def excluded(folder: str, names: list[str]) -> set[str]:
    """The names in a folder that stay out of the Bento: bytecode and the demo corpus."""
    return {"__pycache__", *(["demo"] if Path(folder).name == "corpus" else [])} & set(names)


def build_bento(settings: Settings, root: Path) -> str:
    """Build it into BentoML's store, from the repository at `root` and the prepared speech models.

    Returns:
        The Bento's tag.

    Raises:
        InputError: the models are not prepared.
    """
    import bentoml

    if not settings.models.is_dir():
        raise InputError(f"{settings.models}: the speech models are not there; run: make setup")
    with tempfile.TemporaryDirectory() as name:
        context = Path(name)
        for package in PACKAGES:
            shutil.copytree(root / package, context / package, ignore=excluded)
        shutil.copytree(settings.models, context / "models", ignore=shutil.ignore_patterns(".*"))
        shutil.copy(root / "requirements.lock", context)
        bentofile = root / "infra" / "bento" / "bentofile.yaml"
        shutil.copy(bentofile.with_name("Dockerfile.template"), context)
        # BentoML reads files only below the working directory.
        with contextlib.chdir(context):
            bento = bentoml.bentos.build_bentofile(str(bentofile), build_ctx=name)
    return str(bento.tag)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build it; its tag goes to standard output."""
    argparse.ArgumentParser(description="Build the service as a Bento.").parse_args(arguments)
    try:
        tag = build_bento(Settings(), Path(__file__).parents[1])
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{tag}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
