"""Versions of different labels on one Triton, side by side: each answers with its own."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from components.config import Settings
from components.conversation import DEFAULT_LABELS
from components.fusion import load_tokenizer
from serving.engine.classified import Classified
from serving.engine.classifier import ServedClassifier
from serving.lineup import Lineup, Role, Served, write_pointer
from serving.settings import ServeSettings, TrafficSettings
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.serving import steered
from tests.serving.helpers import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

SIX = ("sad", "calm", "angry", "bored", "proud", "shy")
TWO = ("tense", "sad")
CLIPS = [(np.random.default_rng(n).normal(size=9_000).astype("f4"), "a hello") for n in range(5)]


@pytest.fixture(scope="module")
def folders(
    models: dict[int, Path],
    make_model: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, Path]:
    """Versions 3 of the default labels, 6 of six, 2 of two."""
    root = tmp_path_factory.mktemp("labels")
    made = {n: make_model(root / str(n), n, labels=labels) for n, labels in ((6, SIX), (2, TWO))}
    return {3: models[3], **made}


@pytest.fixture(scope="module")
def server(
    folders: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A Triton that holds all of them."""
    root = tmp_path_factory.mktemp("triton")
    for number, folder in folders.items():
        export_version(folder, root / "repository", number)
    serve_versions(root / "repository", folders, steered.HOST)
    with steered.triton(root / "repository", root / "log") as running:
        running.control.load()
        yield running


def classify(
    server: TritonServer, pointer: Path, until: Callable[[], bool], **shares: float
) -> Classified:
    """An answer, given back once something is true."""

    async def inside() -> Classified:
        traffic = TrafficSettings(**shares)
        asked = ServedClassifier(
            Settings(triton_url=server.grpc_url), ServeSettings(pointer=pointer), traffic
        )
        try:
            answer = await asked.classify(CLIPS, request_id="r")
            await asyncio.to_thread(wait_until, until, 10)
            return answer
        finally:
            await asked.close()

    return asyncio.run(inside())


def compared(version: int, *outcomes: str) -> float:
    """How many clips a candidate was compared on, by outcome."""
    name, labels = "moodline_shadow_total", {"version": str(version)}
    return sum(
        REGISTRY.get_sample_value(name, labels | {"outcome": outcome}) or 0.0
        for outcome in outcomes
    )


def point(pointer: Path, folders: dict[int, Path], **roles: int) -> Path:
    named: dict[Role, Served] = {
        role: Served(number, folders[number])  # type: ignore[misc]
        for role, number in roles.items()
    }
    write_pointer(pointer, Lineup(named))
    return pointer


@pytest.mark.parametrize(("staging", "labels"), [(6, SIX), (2, TWO)])
def test_a_canary_of_other_labels_answers_with_its_own(
    server: TritonServer,
    folders: dict[int, Path],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
    staging: int,
    labels: tuple[str, ...],
) -> None:
    pointer = point(tmp_path / "served.json", folders, production=3, staging=staging)
    for share, version, known in ((0.0, 3, DEFAULT_LABELS), (1.0, staging, labels)):
        answer = classify(server, pointer, lambda: True, canary_share=share)
        assert (answer.version, answer.labels) == (version, known)
        assert answer.probabilities.shape == (len(CLIPS), len(known))
        ids = np.array(load_tokenizer(folders[version]).encode(CLIPS[0][1]).ids)
        expected, vector = alone(folders[version], CLIPS[0][0], ids)
        np.testing.assert_allclose(answer.probabilities[0], expected, atol=1e-4)
        np.testing.assert_allclose(answer.embeddings[0], vector, atol=1e-4)


def test_a_candidate_is_compared_on_the_labels_that_both_have(
    server: TritonServer,
    folders: dict[int, Path],
    alone: Callable[..., tuple[np.ndarray, np.ndarray]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pointer = point(tmp_path / "served.json", folders, production=3, candidate=6)
    before = {outcome: compared(6, outcome) for outcome in ("same", "other")}
    with caplog.at_level(logging.WARNING):
        answer = classify(
            server, pointer, lambda: compared(6, "same", "other") == sum(before.values()) + 5,
            canary_share=0.0, shadow_share=1.0,
        )  # fmt: skip
    assert "version 6, has other labels than version 3: they are compared on angry, sad" in (
        caplog.text
    )
    ids = np.array(load_tokenizer(folders[6]).encode(CLIPS[0][1]).ids)
    theirs = np.stack([alone(folders[6], sound, ids)[0] for sound, _ in CLIPS])
    angrier = answer.probabilities[:, 0] > answer.probabilities[:, 3]
    same = int((angrier == (theirs[:, 2] > theirs[:, 0])).sum())
    assert compared(6, "same") - before["same"] == same
    assert compared(6, "other") - before["other"] == len(CLIPS) - same


def test_a_candidate_that_shares_one_label_is_not_compared(
    server: TritonServer, folders: dict[int, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pointer = point(tmp_path / "served.json", folders, production=3, candidate=2)
    before, scored = compared(2, "other_labels"), compared(2, "same", "other")
    classify(
        server, pointer, lambda: compared(2, "other_labels") > before,
        canary_share=0.0, shadow_share=1.0,
    )  # fmt: skip
    assert compared(2, "other_labels") - before == len(CLIPS)
    assert compared(2, "same", "other") == scored
    assert "they are not compared" in caplog.text
