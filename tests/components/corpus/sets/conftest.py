"""Generated folders of the published sets."""

from pathlib import Path

import pytest

from tests.components.corpus.sets.trees import Trees


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Builds folders in a fresh one."""
    (tmp_path / "sets").mkdir()
    return Trees(tmp_path / "sets")
