"""`moodline corpus import` and what `moodline corpus check` says of its manifest."""

import json
from pathlib import Path

from tests.components.corpus.sets.trees import Trees
from tests.pipelines.cli.test_commands import moodline, one_line


def test_import_then_check(tmp_path: Path) -> None:
    folder = Trees(tmp_path).ravdess()
    out = tmp_path / "out"
    missing = moodline("corpus", "import", "ravdess", folder, "-o", out)
    one_line(missing, "lacks 1,436 of RAVDESS's 1,440 files, Actor_01/03-01-01-01-01-01-01.wav")
    done = moodline("corpus", "import", "ravdess", folder, "-o", out, "--partial", "--listen")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"{out}/manifest.jsonl: 4 recordings; next: moodline corpus check {out}" in done.stderr
    one_line(moodline("corpus", "import", "ravdess", folder, "-o", out), "is there already")

    checked = moodline("corpus", "check", out, "--json")
    report = json.loads(checked.stdout)
    assert report["licences"] == {"CC BY-NC-SA 4.0": 4}
    counts = {"angry": 1, "calm": 1, "neutral": 1}
    part = {"set": "ravdess", "language": "en"}
    assert report["parts"] == [
        {**part, "fold": "fold_1", "emotions": {"fearful": 1}},
        {**part, "fold": "fold_2", "emotions": counts},
    ]
    table = moodline("corpus", "check", out).stdout.splitlines()
    head = next(line.split() for line in table if line.startswith("set "))
    assert head == ["set", "language", "fold", "angry", "calm", "fearful", "neutral", "all"]
    assert table[-1].split() == ["ravdess", "en", "fold_2", "1", "1", "0", "1", "3"]
