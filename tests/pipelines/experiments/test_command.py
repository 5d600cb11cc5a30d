"""The command from end to end: what it prints, what it writes, what it finds done."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from components.config import Profile, Settings
from components.conversation import Recording, write_manifest
from pipelines.cli.main import run
from pipelines.experiments.systems import ALIGNED


@pytest.fixture
def command(
    everything,
    recordings: list[Recording],
    heard: Path,
    profile: Profile,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """The command's options for the corpus, in a folder where all of it was run before.

    The folder that it would work in is the one with what was heard: no speech models are here.
    """
    write_manifest(tmp_path / "corpus", recordings)
    small = profile.model_copy(update={"name": "small"})
    (tmp_path / "small.yaml").write_text(small.model_dump_json())
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "pipelines.cli.experiment.tempfile.TemporaryDirectory", lambda **_: nullcontext(heard)
    )
    return ["--profile", str(tmp_path / "small.yaml"), "--corpus", str(tmp_path / "corpus")]


def test_all_prints_the_tables_and_writes_the_report(
    command: list[str], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    work = settings.cache / "experiments"
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    assert run(["experiment", "all", *command]) == 0
    output = capsys.readouterr()
    for part in ("Table I:", "Table IV:", "paper", "Differences between systems"):
        assert part in output.out
    assert "Synthetic" not in output.out  # this corpus does not say that it is
    (report,) = (settings.home / "experiments").glob("small-*.html")
    assert str(report) in output.err.replace("\n", "")
    assert "Learning curves" in report.read_text(encoding="utf-8")
    # everything was done before
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before


def test_one_table_as_json_is_json_alone(
    command: list[str], everything, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "table4.html"
    assert run(["experiment", "table4", "--json", "-o", str(page), *command]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["tables"]) == ["table4"]
    assert set(printed["systems"]) == {"aligned/frozen", "aligned/fine-tuned"}
    undisturbed = everything[0].systems[ALIGNED].numbers
    assert printed["systems"]["aligned/fine-tuned"]["confusion"] == undisturbed["confusion"]
    assert "Table IV" in page.read_text(encoding="utf-8")
    assert "Table III" not in page.read_text(encoding="utf-8")
