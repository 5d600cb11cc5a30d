"""Register and promote where the disk is full, then again with room; run on a small disk."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from components.base import DiskFull
from components.config import Settings, load_profile
from components.register import Lineage, history, list_versions, promote, register
from tests.small_disk import fill, resize


def refused(work: Callable[[], object]) -> str:
    """What the registry says of it."""
    try:
        return f"done: {work()}"
    except DiskFull as error:
        return str(error)


def main(disk: Path, database: Path, model: Path, folder: Path) -> None:
    shutil.copyfile(database, disk / "mlflow.db")
    settings = Settings(home=disk)
    lineage = Lineage("0123abcd", "corpus-digest", load_profile("tiny"))
    evidence = [folder / name for name in ("metrics", "report", "verdict")]

    def enter() -> int:
        return register(model, *evidence, lineage, settings)

    def put() -> int:
        return promote(1, settings, actor="ann").step

    outcome = {"register": refused(enter), "registered": len(list_versions(settings))}
    resize(disk, 64)
    outcome |= {"version": enter()}
    ballast = fill(disk)
    outcome |= {"promote": refused(put), "promoted": len(history(settings))}
    ballast.unlink()
    outcome |= {"step": put(), "versions": len(list_versions(settings))}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
