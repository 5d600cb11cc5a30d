"""A fault of one copy, or of another team's file beside it, keeps no turn from being erased."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.base import Unavailable, Url
from components.traffic import Artifacts, Copies
from serving.api.erasure import erase_recording
from tests.components.base.objects import Store, object_store
from tests.components.register.stores import BUCKET
from tests.serving.api.test_erasure import SECRET, Home

ROOT = Url(BUCKET, "v2/artifacts")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def home(store: Store, tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    home.answer("zoom_call", SECRET)
    yield home
    home.close()


def erase(home: Home) -> int:
    copies = Copies(home.settings.runs, home.settings.cache, Artifacts(ROOT))
    places = home.log.turns, home.store, home.uploads, copies
    return erase_recording("zoom_call", "", *places).turns.logged


def test_another_teams_manifest_keeps_nothing(home: Home) -> None:
    (ROOT / "another-team/manifest.jsonl").put_bytes(b'{"audio_filepath": "a.wav"}\n')
    assert erase(home) == 2
    assert home.holds(SECRET) == []


def test_an_object_that_is_refused_is_told_when_the_log_is_erased(store: Store, home: Home) -> None:
    words = ROOT / "run/manifest.jsonl"
    words.put_bytes(b'{"recording": "feedback-to-zoom_call"}\n{"recording": "call"}\n')
    store.door.locked = "run/manifest.jsonl"
    with pytest.raises(Unavailable, match="refuses the credentials"):
        erase(home)
    assert len(home.log.turns.window()) == 0
    assert home.holds(SECRET) == []
    store.door.locked = ""
    Artifacts(ROOT).sweep(content_days=30)  # the log knows no more what the copies are called
    assert words.read_bytes() == b'{"recording": "call"}\n'


def test_where_the_store_cannot_note_what_is_erased_the_log_keeps_it(
    store: Store, home: Home
) -> None:
    """Only by the log's requests are all copies known."""
    store.door.refuse(503, "ServiceUnavailable")
    with pytest.raises(Unavailable):
        erase(home)
    assert len(home.log.turns.window()) == 1
