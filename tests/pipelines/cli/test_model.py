"""train, evaluate, register: a retraining's steps by hand, on tiny encoders, to production."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from components.config import load_profile
from components.conversation import (
    DEFAULT_LABELS,
    SAMPLE_RATE,
    Recording,
    Turn,
    Utterance,
    write_manifest,
    write_turns,
)
from components.label import label_corpus
from pipelines.cli.main import run
from tests.tiny import save_encoders

Capture = pytest.CaptureFixture[str]

SAID = {"angry": "no stop", "happy": "yes good", "neutral": "the room", "sad": "lost gone"}
FOLDS = ("week-1", "week-1", "week-2", "week-3", "week-3", "week-4")


@dataclass(frozen=True)
class Made:
    """What lies in the workplace: a corpus, its turns and examples, two profiles."""

    corpus: Path
    turns: Path
    examples: Path
    profile: Path
    strict: Path


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def made(workplace: Path) -> Made:
    recordings = []
    for number, fold in enumerate(FOLDS):
        name = f"call-{number}"
        pitch = np.repeat([400, 300, 200, 100] * 2, SAMPLE_RATE // 2)
        sound = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
        soundfile.write(workplace / f"{name}.flac", sound, SAMPLE_RATE)
        utterances = tuple(
            Utterance(f"{name}-{i}", name, i / 2, i / 2 + 0.45, "A", "F", SAID[e], e)
            for i, e in enumerate(DEFAULT_LABELS * 2)
        )
        path = workplace / f"{name}.flac"
        recordings.append(Recording(name, path, fold, False, utterances))
        turns = [Turn(name, u.start, u.end, "S0", u.text) for u in utterances]
        write_turns(workplace / "turns" / f"{name}.json", turns)
    write_manifest(workplace / "corpus", recordings)
    label_corpus(workplace / "turns", recordings, workplace / "examples.parquet")
    save_encoders(workplace / "models", list(SAID.values()), width=16)
    profile = load_profile("tiny").model_dump(mode="json")
    profile["transcribe"]["model"] = profile["diarize"]["pipeline"] = "tiny-wave"
    profile["fusion"] = {"acoustic": "tiny-wave", "text": "tiny-text", "heads": 2,
                         "feed_forward": 16}  # fmt: skip
    profile["train"] = {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3}
    profile["protocol"] = {"test_fold": "week-3", "validation_fold": "week-2",
                           "holdout_fold": "week-4"}  # fmt: skip
    for name, least in (("mine", 0.01), ("strict", 1.0)):
        gate = {"min_accuracy": least, "no_regression": {"accuracy": 0.1}}
        content = profile | {"name": name, "gate": gate}
        (workplace / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return Made(
        workplace / "corpus",
        workplace / "turns",
        workplace / "examples.parquet",
        workplace / "mine.yaml",
        workplace / "strict.yaml",
    )


@pytest.fixture(autouse=True)
def home(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(workplace / "home"))
    monkeypatch.setenv("MOODLINE_MODELS", str(workplace / "models"))


@pytest.fixture(scope="module")
def model(made: Made, workplace: Path) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv("MOODLINE_HOME", str(workplace / "home"))
    patch.setenv("MOODLINE_MODELS", str(workplace / "models"))
    folder = workplace / "model"
    train = ["train", "--corpus", made.corpus, "--profile", made.profile, "-o", folder]
    assert run([*map(str, train), "--examples", str(made.examples)]) == 0
    patch.undo()
    return folder


def evaluate(made: Made, model: object, output: Path, *more: object) -> int:
    command = ["evaluate", model, "--corpus", made.corpus, "--turns", made.turns, "-o", output]
    return run([str(part) for part in (*command, *more)])


def register(made: Made, model: Path, evaluation: Path, *more: object) -> int:
    command = ["register", model, evaluation, "--corpus", made.corpus, *more]
    return run([str(part) for part in command])


def test_from_a_corpus_to_production(
    made: Made, model: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Nothing is in production, so only levels count; then it is judged beside itself."""
    assert {"config.json", "model.onnx", "profile.json"} <= {p.name for p in model.iterdir()}
    judged = tmp_path / "judged"
    capsys.readouterr()
    assert evaluate(made, model, judged, "--profile", made.profile) == 0
    said = capsys.readouterr()
    assert "Warning: little power. The gate's power: with 2 conversations (16 utt" in said.err
    assert "min_accuracy" in said.out
    metrics = json.loads((judged / "metrics.json").read_text())
    assert (metrics["recordings"], metrics["champion"]) == (2, None)
    more = ("--profile", made.profile, "--reason", "by hand")
    assert register(made, model, judged, *more) == 0
    assert "Registered as version 1; the gate says pass." in capsys.readouterr().out
    assert register(made, model, judged, *more) == 0
    assert "version 1" in capsys.readouterr().out, "the same evidence is the same version"
    assert run(["registry", "promote", "1", "--actor", "ada"]) == 0

    # A version by its alias, on what no gate has seen.
    held = tmp_path / "held"
    capsys.readouterr()
    options = ("--profile", made.profile, "--fold", "holdout")
    assert evaluate(made, "production", held, *options) == 0
    assert not (held / "verdict.json").exists()
    metrics = json.loads((held / "metrics.json").read_text())
    assert (metrics["part"], metrics["test_fold"], metrics["recordings"]) == (
        "holdout",
        "week-4",
        1,
    )
    assert "Warning: by the model's own" not in capsys.readouterr().err
    assert register(made, model, held, "--profile", made.profile) == 2
    assert "is of the holdout, which no gate reads" in capsys.readouterr().err


def test_a_refusal_is_a_refusal(made: Made, model: Path, tmp_path: Path, capsys: Capture) -> None:
    judged = tmp_path / "judged"
    assert evaluate(made, model, judged, "--profile", made.strict) == 1
    assert "the gate says fail" in capsys.readouterr().err
    before = _versions(capsys)
    assert register(made, model, judged, "--profile", made.strict) == 1
    assert "not registered: the gate says fail" in capsys.readouterr().err
    assert _versions(capsys) == before
    assert register(made, model, judged, "--profile", made.profile) == 2
    assert "was made with another profile" in capsys.readouterr().err


def _versions(capsys: Capture) -> list[int]:
    assert run(["registry", "list", "--json"]) == 0
    return [version["number"] for version in json.loads(capsys.readouterr().out)]


def test_a_model_that_may_know_the_answers_is_named(
    made: Made, model: Path, tmp_path: Path, capsys: Capture
) -> None:
    content = yaml.safe_load(made.profile.read_text())
    content["protocol"] = {"test_fold": "week-1", "validation_fold": "week-2"}
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(content))
    assert evaluate(made, model, tmp_path / "judged", "--profile", other) in (0, 1)
    assert "own protocol 2 of the 2 recordings are to learn from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evaluate", "no/model", "-o", "OUT"], "no/model: no such folder"),
        (["evaluate", "seventh", "-o", "OUT"], "seventh: no version of moodline has this alias"),
        (["evaluate", "MODEL", "-o", "OUT", "--fold", "holdout", "--profile", "NONE"],
         "profile none sets no holdout aside"),
        (["evaluate", "MODEL", "-o", "MODEL"], "is not empty; name a new folder"),
        (["register", "no/model", "OUT"], "no/model: no such folder"),
        (["register", "MODEL", "OUT"], "metrics.json: no such file"),
        (["train", "-o", "OUT", "--examples", "gone.parquet"], "gone.parquet: no such file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    arguments: list[str], says: str, made: Made, model: Path, tmp_path: Path, capsys: Capture
) -> None:
    content = yaml.safe_load(made.profile.read_text()) | {"name": "none"}
    del content["protocol"]["holdout_fold"]
    content["protocol"]["test_fold"] = "week-4"
    (tmp_path / "none.yaml").write_text(yaml.safe_dump(content))
    places = {"OUT": tmp_path / "out", "MODEL": model, "NONE": tmp_path / "none.yaml"}
    command = [str(places.get(part, part)) for part in arguments]
    if "--profile" not in command:
        command += ["--profile", str(made.profile)]
    capsys.readouterr()
    assert run([*command, "--corpus", str(made.corpus)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert says in lines[-1]
    assert not (tmp_path / "out").exists()
