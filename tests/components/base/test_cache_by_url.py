"""Finished work in an object store: what one machine has made, the next one does not make again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import Cache, InputError, Unavailable, Url, owned_folder
from components.config import Settings
from components.conversation import FEEDBACK, Recording, work_through
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET

WORK = Url(BUCKET, "work")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


class Machine:
    """A machine of its own; what it makes is counted."""

    def __init__(self, folder: Path, work: Url = WORK) -> None:
        self.made, self.left = list[str](), dict[tuple[str, str], str]()
        self.cache = Cache(folder / "cache", work)

    def work(self, recordings: list[Recording]) -> None:
        def make(recording: Recording, _: object) -> dict[str, str]:
            self.made.append(recording.name)
            return {"words": f"of {recording.name}", "speakers": "A"}

        made = work_through(recordings, ["words", "speakers"], lambda r: [r.name], make,
                            suffix=".json", cache=self.cache)  # fmt: skip
        self.left = {(document.recording, document.kind): document.text for document in made}


def recording(name: str, fold: str = "one") -> Recording:
    return Recording(name, Path(f"{name}.wav"), fold, None, ())


def test_a_killed_shard_goes_on_elsewhere(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one recording at a time
    recordings = [recording(name) for name in "abc"]
    first, second = Machine(tmp_path / "first"), Machine(tmp_path / "second")
    store.door.refuse(400, "ExpiredToken", after=4)  # as b's words are put
    with pytest.raises(Unavailable, match=r"s3://moodline/work/.*credentials have expired"):
        first.work(recordings)
    store.door.refusal = None
    assert first.made == ["a", "b"]
    assert first.left == {}
    second.work(recordings)
    assert second.made == ["b", "c"]
    assert second.left["a", "words"] == "of a"
    asked = len(store.door.asked)
    first.work(recordings)
    assert first.made == ["a", "b"]
    assert all(line.startswith("GET") for line in store.door.asked[asked:])


def test_what_came_from_traffic_stays_on_its_machine(store: Store, tmp_path: Path) -> None:
    machine = Machine(tmp_path, Url(BUCKET, "traffic"))
    machine.work([recording("call", FEEDBACK)])
    assert len(list((tmp_path / "cache").rglob(f"{owned_folder('call')}/*"))) == 2
    assert store.names("traffic") == [] and store.door.asked == []


def test_a_place_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOODLINE_HOME", str(tmp_path))
    monkeypatch.setenv("MOODLINE_CACHE", "s3://moodline/work")
    settings = Settings()
    assert (settings.cache, settings.finished.store) == (tmp_path / "cache", WORK)
    for name, value in settings.environment().items():  # a step's process
        monkeypatch.setenv(name, value)
    assert Settings().finished.store == WORK
    monkeypatch.setenv("MOODLINE_CACHE", "s3://me:s3cr3t@moodline/work")
    with pytest.raises(InputError, match="holds credentials") as refused:
        Settings()
    assert "s3cr3t" not in str(refused.value)
    monkeypatch.setenv("MOODLINE_CACHE", "gs://moodline/work")
    with pytest.raises(InputError, match="is no location"):
        Settings()


def test_digests_and_lengths_need_no_sound(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.base import file_digest
    from components.conversation import measure

    soundfile.write(tmp_path / "a.wav", np.zeros(16_000, "f4"), 16_000)
    store.upload(tmp_path, "calls")
    url = Url(BUCKET, "calls/a.wav")
    first, second = (Cache(tmp_path / name, WORK) for name in ("first", "second"))
    told = file_digest(url, first), measure(url, first)
    asked = len(store.door.asked)
    assert (file_digest(url, second), measure(url, second)) == told
    assert not [line for line in store.door.asked[asked:] if line.startswith("GET /moodline/calls")]
