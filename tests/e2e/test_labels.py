"""Corpora of two labels and of six, through everything: retraining, gate, promotion, serving,
feedback, drift, page. The version of six takes over from the one of two while the service runs.

Everything is real; a corpus is four of the demo's dialogues with other names of their emotions.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from components.config import Profile, Settings, load_profile
from components.conversation import Utterance, read_audio, write_manifest
from components.corpus import read_corpus
from components.register import show
from components.traffic import FeedbackStore, TurnLog
from pipelines.cli.main import run
from pipelines.runners.request import RetrainRequest
from pipelines.runners.retrain import RetrainResult, retrain
from serving.settings import ServeSettings, TrafficSettings
from serving.supervisor.serve import Serving
from tests.serving.helpers import upload, wait_until, wav

PAGE = Path(__file__).parents[2] / "serving" / "api" / "page"

pytestmark = [pytest.mark.models, pytest.mark.servers, pytest.mark.timeout(900)]

DIALOGUES = ("Ses01F_impro01", "Ses02F_impro01", "Ses04F_impro01", "Ses05F_impro01")

SIX = {
    ("angry", "F"): "angry", ("angry", "M"): "angry", ("happy", "F"): "glad",
    ("happy", "M"): "glad", ("neutral", "F"): "neutral", ("neutral", "M"): "sehr ruhig",
    ("sad", "F"): "sad", ("sad", "M"): "tense",
}  # fmt: skip
"""What the corpus of six calls an emotion of a man or a woman."""


@dataclass(frozen=True)
class Task:
    """What is told apart.

    Attributes:
        labels: the profile's.
        label_map: the profile's; the corpus of two has the demo's own names.
        shared: what the champion has, too.
    """

    labels: tuple[str, ...]
    label_map: dict[str, str]
    number: int
    shared: tuple[str, ...] = ()

    def named(self, utterance: Utterance) -> Utterance:
        """An utterance as this corpus labels it."""
        own = SIX.get((utterance.emotion, str(utterance.sex)), utterance.emotion)
        return replace(utterance, emotion=own if len(self.labels) == 6 else utterance.emotion)

    def profile(self) -> Profile:
        """The demo's, of these labels; two dialogues teach little, and its gate asks for little."""
        demo = load_profile("tiny").model_dump(mode="json")
        own = {
            "name": f"of-{len(self.labels)}", "labels": self.labels, "label_map": self.label_map,
            "gate": {"min_accuracy": 0.01, "min_f1": 0.0},
            "train": demo["train"] | {"epochs": 3},
        }  # fmt: skip
        return Profile.model_validate(demo | own)


OTHERS = dict.fromkeys(("frustrated", "surprised"), "ignore")
TASKS = (
    Task(
        ("sehr ruhig", "tense"),
        {"angry": "tense", "happy": "tense", "neutral": "sehr ruhig", "sad": "sehr ruhig"} | OTHERS,
        number=1,
    ),
    Task(
        ("tense", "angry", "glad", "neutral", "sad", "sehr ruhig"), OTHERS, number=2,
        shared=("sehr ruhig", "tense"),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def settings(
    workplace: Path, tmp_path_factory: pytest.TempPathFactory, models_home: Path
) -> Iterator[Settings]:
    """A state of its own, also for the commands. What is said in a dialogue is looked for once: the
    other loop's corpus has the same ones."""
    home, cache = tmp_path_factory.mktemp("labels"), workplace / ".moodline" / "cache"
    triton = Settings().triton_env.resolve()
    here = Settings(home=home, models=models_home.resolve(), cache=cache, triton_env=triton)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in here.environment().items():
            environment.setenv(name, value)
        yield here


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[list[Serving]]:
    """The service, once a version is in production."""
    with ExitStack() as stack:
        services: list[Serving] = []
        stack.callback(lambda: [service.stop() for service in services])
        yield services


@pytest.fixture(scope="module", params=TASKS, ids=lambda task: f"of {len(task.labels)}")
def task(request: pytest.FixtureRequest) -> Task:
    this: Task = request.param
    return this


@pytest.fixture(scope="module")
def retrained(task: Task, settings: Settings, demo_corpus: Path) -> RetrainResult:
    """A retraining on a corpus of these labels, promoted."""
    corpus = settings.home / f"corpus-{task.number}"
    recordings = [
        replace(recording, utterances=tuple(map(task.named, recording.utterances)))
        for recording in read_corpus(demo_corpus)
        if recording.name in DIALOGUES
    ]
    write_manifest(corpus, recordings, take_audio=True)
    return retrain(task.profile(), RetrainRequest(corpus, promote=True), settings)


@pytest.fixture(scope="module")
def service(
    task: Task, retrained: RetrainResult, settings: Settings, running: list[Serving]
) -> str:
    """The address of the service, which this version answers at."""
    if not running:
        quick = TrafficSettings(follow_seconds=0.3, grace_seconds=0.2)
        running.append(Serving(settings, port=0, serve=ServeSettings(), traffic=quick))
        running[0].start()
    url = running[0].url
    number = str(task.number)
    assert wait_until(lambda: httpx.get(f"{url}/v1/model").json()["version"] == number, 60)
    return url


@pytest.fixture(scope="module")
def answer(service: str, demo_corpus: Path) -> dict[str, Any]:
    """The answer to some seconds of a dialogue."""
    audio = next(demo_corpus.rglob("Ses05F_impro01.ogg"))
    sound = upload(wav(read_audio(audio, 0, 12)), "call.wav")
    response = httpx.post(
        f"{service}/v1/analyze", files=sound, data={"num_speakers": "2"}, timeout=300
    )
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_it_is_trained_judged_and_promoted(
    task: Task, retrained: RetrainResult, settings: Settings
) -> None:
    assert (retrained.decision, retrained.promoted) == ("pass", True), retrained.reasons
    assert retrained.version == task.number
    config = json.loads((retrained.outputs["model"] / "config.json").read_text())
    assert tuple(config["id2label"][str(i)] for i in range(len(task.labels))) == task.labels
    metrics = json.loads(retrained.outputs["metrics"].read_text())
    assert json.dumps(metrics).count(json.dumps(list(task.labels))[1:-1]) > 0
    report = retrained.outputs["report"].read_text()
    assert all(label in report for label in task.labels)
    assert "production" in show(task.number, settings).aliases


def test_the_service_answers_with_its_labels(
    task: Task, service: str, answer: dict[str, Any]
) -> None:
    model = httpx.get(f"{service}/v1/model").json()
    assert tuple(model["labels"]) == task.labels
    assert answer["model"] == {
        "name": "moodline", "version": str(task.number), "labels": list(task.labels)
    }  # fmt: skip
    assert answer["turns"]
    clip = [
        ("audio", ("a.wav", wav(0.1 * np.random.default_rng(0).normal(size=16_000).astype("f4"))))
    ]
    clips = httpx.post(f"{service}/v1/classify", files=clip, data={"text": "hello"}).json()
    assert tuple(clips["model"]["labels"]) == task.labels
    for said in (*answer["turns"], *clips["clips"]):
        assert tuple(said["probabilities"]) == task.labels
        assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert said["emotion"] == max(said["probabilities"], key=said["probabilities"].get)
    assert f'emotion="{answer["turns"][0]["emotion"]}",version="{task.number}"' in (
        httpx.get(f"{service}/metrics").text
    )


def test_the_page_has_no_label_of_its_own(task: Task, service: str) -> None:
    page = httpx.get(f"{service}/").text
    found = re.search(r"page/\w+/", page)
    assert found is not None
    own = [path for kind in ("*.js", "*.css") for path in PAGE.glob(kind)]
    files = {path.name: httpx.get(f"{service}/{found[0]}{path.name}") for path in own}
    assert {file.status_code for file in files.values()} == {200}
    texts = [page, *(file.text for file in files.values())]
    assert [t for t in task.labels if re.search(rf"\b{t}\b", "\n".join(texts))] == []
    colours = httpx.get(f"{service}/{found[0]}colours.css").text
    for place in range(len(task.labels)):
        assert f"--label-{place}: light-dark(" in colours


def test_feedback_is_of_the_labels_of_the_version_that_answered(
    task: Task, service: str, answer: dict[str, Any], settings: Settings
) -> None:
    def say(emotion: str) -> httpx.Response:
        body = {"request_id": answer["request_id"], "turn": 0, "emotion": emotion}
        return httpx.post(f"{service}/v1/feedback", json=body)

    first = answer["turns"][0]["emotion"]
    other = next(label for label in task.labels if label != first)
    for label in (first, other):
        assert say(label).status_code == 201
    foreign = "happy"
    refused = say(foreign)
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        f"emotion 'happy': name one of {', '.join(task.labels)}, the labels of version"
        f" {task.number}, which answered",
    )
    entries = [e for e in FeedbackStore.read(settings.feedback_url) if e.version == task.number]
    assert [(e.emotion, e.predicted, e.labels) for e in entries] == [
        (label, first, task.labels) for label in (first, other)
    ]


def test_drift_is_judged_by_the_versions_own_labels(
    task: Task, answer: dict[str, Any], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(TurnLog(settings.log_location, settings.feedback_url)) as log:
        own = log.window(version=task.number)
        everything = log.window()
    assert {tuple(row["labels"]) for row in own.to_pylist()} == {task.labels}
    prom = settings.home / f"drift-{task.number}.prom"
    page = prom.with_suffix(".html")
    assert run(["drift", "--window", "1h", "--json", "-o", str(page), "--prom", str(prom)]) == 0
    verdict = json.loads(capsys.readouterr().out)
    (emotion,) = (f for f in verdict["features"] if f["name"] == "emotion")
    assert tuple(emotion["reference"]) == tuple(emotion["window"]) == task.labels
    assert sum(emotion["reference"].values()) == pytest.approx(1)
    assert (verdict["turns"], verdict["other_labels"]) == (len(own), 0)
    live = verdict["live"][str(task.number)]
    assert (live["turns"], tuple(live["emotions"])) == (1, task.labels)
    assert all(f'emotion="{label}"' in prom.read_text() for label in task.labels)
    # Whoever answered: what a version of other labels said is left out, and counted.
    folder = str(settings.cache / "versions" / str(task.number))
    assert run(["drift", "--window", "1h", "--json", "--version", folder]) == 0
    every = json.loads(capsys.readouterr().out)
    assert (every["turns"], every["other_labels"]) == (len(own), len(everything) - len(own))
    assert ("left out" in every["reason"]) == (len(everything) > len(own)) == (task.number > 1)


def test_a_champion_of_other_labels_is_compared_on_those_that_both_have(
    task: Task, retrained: RetrainResult
) -> None:
    text = retrained.outputs["metrics"].read_text()
    comparison = json.loads(text).get("comparison")
    if task.number == 1:
        assert not comparison
    else:
        assert comparison and set(comparison["labels"]) == set(task.shared)
