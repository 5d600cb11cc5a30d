"""A corpus in an object store is the same corpus as in a folder."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.base import Cache, InputError, Unavailable, Url, scratch
from components.conversation import Turn, measure, read_audio, read_manifest, write_manifest
from components.corpus import (
    check_corpus,
    corpus_digest,
    join_feedback,
    read_corpus,
    read_recordings,
)
from components.fusion import turn_clip
from components.train.data import Row, Sound
from pipelines.cli.main import app
from tests.components.base.objects import Store, object_store

Edit = Callable[[str, str, str], Path]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        scratch._states.clear()
        yield made


@pytest.fixture
def mine(iemocap: Path, tmp_path: Path) -> Path:
    """The same as a manifest with its sound."""
    write_manifest(tmp_path / "mine", read_corpus(iemocap), take_audio=True)
    return tmp_path / "mine"


@pytest.mark.parametrize("kind", ["iemocap", "mine"])
def test_report_and_digest_are_the_same(
    store: Store, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    url = store.upload(folder, kind)
    cache = Cache(tmp_path / "cache")
    assert check_corpus(url, cache=cache) == check_corpus(folder)
    asked = len(store.door.asked)
    assert check_corpus(url, cache=cache) == check_corpus(folder)
    assert not [
        line for line in store.door.asked[asked:] if line.startswith("GET") and ".wav" in line
    ]


def test_its_manifest_names_urls(store: Store, iemocap: Path, tmp_path: Path) -> None:
    url = store.upload(iemocap, "iemocap")
    write_manifest(tmp_path / "artifact", read_corpus(url))
    read = read_manifest(tmp_path / "artifact")
    assert str(read[0].audio) == f"{url}/Session1/dialog/wav/Ses01F_impro01.wav"
    here = read_corpus(iemocap)
    assert corpus_digest(read) == corpus_digest(here)
    assert (read_audio(read[0].audio, 1.0, 2.0) == read_audio(here[0].audio, 1.0, 2.0)).all()
    write_manifest(tmp_path / "whole", read, take_audio=True)
    assert corpus_digest(read_corpus(tmp_path / "whole")) == corpus_digest(here)


def test_a_manifest_of_sound_elsewhere(store: Store, mine: Path, tmp_path: Path) -> None:
    url = store.upload(mine / "audio", "sound")
    manifest = mine / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("audio/Ses", f"{url}/Ses"))
    shutil.rmtree(mine / "audio")
    assert next(str(r.audio) for r in read_corpus(mine)).startswith(f"{url}/Ses01F")


def test_faults_name_the_url(store: Store, iemocap: Path, mine: Path, edit: Edit) -> None:
    wav = mine / "audio" / "Ses01F_impro01.wav"
    wav.write_bytes(b"no sound at all" * 100)
    url = store.upload(mine, "bad")
    with pytest.raises(InputError, match=rf"recording Ses01F_impro01: {url}/audio/Ses01F_impro01"):
        read_corpus(url)
    store.client.delete_object(Bucket="moodline", Key="bad/audio/Ses01F_impro01.wav")
    with pytest.raises(InputError, match=rf"{url}/audio/Ses01F_impro01.wav: no such file"):
        read_corpus(url)
    store.client.delete_object(Bucket="moodline", Key="bad/reference/Ses01F_impro01.json")
    with pytest.raises(InputError, match=rf"{url}/reference/Ses01F_impro01.json: no such file"):
        read_corpus(url)
    edit("EmoEvaluation", "\tneu\t", "\tbad\t")
    url = store.upload(iemocap, "iemocap")
    place = f"{url}/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    with pytest.raises(InputError, match=rf"^{place}: line 3: unknown label 'bad'"):
        read_corpus(url)
    with pytest.raises(InputError, match=rf"^{store.url}/none: no such folder$"):
        read_corpus(f"{store.url}/none")


def test_a_folder_of_recordings(store: Store, mine: Path) -> None:
    (mine / "audio" / "broken.mp3").write_bytes(b"x")
    url = store.upload(mine, "calls")
    left_out: list[str] = []
    there, here = read_recordings(url, None, left_out), read_recordings(mine)
    assert [r.name for r in there] == [r.name for r in here]
    assert corpus_digest(there) == corpus_digest(here)
    assert len(left_out) == 1 and left_out[0].startswith(f"{url}/audio/broken.mp3: ")


def test_credentials_that_expire_leave_nothing_out(store: Store, mine: Path) -> None:
    """Where each file is tried by itself, a store that refuses is no fault of a file."""
    url = store.upload(mine / "audio", "calls")
    scratch._states.clear()
    store.door.refuse(400, "ExpiredToken", after=4)
    with pytest.raises(Unavailable, match=r"\.wav: the credentials have expired"):
        read_recordings(url)


def test_joined_with_feedback(store: Store, iemocap: Path, mine: Path, tmp_path: Path) -> None:
    manifest = mine / "manifest.jsonl"
    lines = manifest.read_text().replace("Session1", "feedback").replace("Ses01F", "fb01F")
    manifest.write_text(lines.splitlines()[0] + "\n")
    for path in (*mine.glob("audio/Ses01F*"), *mine.glob("reference/Ses01F*")):
        text = path.read_bytes().replace(b"Ses01F", b"fb01F")
        path.with_name(path.name.replace("Ses01F", "fb01F")).write_bytes(text)
    cache = Cache(tmp_path / "cache")
    store.upload(iemocap, "labelled")
    joined = join_feedback(Url("moodline", "labelled"), mine, cache)
    assert all(str(r.audio).startswith(str(joined)) for r in read_corpus(joined))
    assert len(read_corpus(joined)) == 3


def test_the_command_line(store: Store, mine: Path, tmp_path: Path) -> None:
    url = store.upload(mine, "mine")
    run = CliRunner().invoke
    assert check_corpus(mine).digest in run(app, ["corpus", "check", url]).output
    store.door.refuse(403, "InvalidAccessKeyId")
    refused = run(app, ["corpus", "check", url])
    assert isinstance(refused.exception, Unavailable)


def test_turns_and_examples_are_cut_from_it(store: Store, mine: Path, tmp_path: Path) -> None:
    there, here = read_corpus(store.upload(mine, "mine")), read_corpus(mine)
    row = Row(here[0].name, "one", 1.0, 2.5, "hello", 0, None)
    turn = Turn(here[0].name, 1.0, 2.5, "A", "hello")
    cut = [
        (Sound(recordings, [row], Cache(tmp_path)), turn_clip(recordings[0].audio, turn)[0])
        for recordings in (there, here)
    ]
    (sound, clip), (own_sound, own_clip) = cut
    assert (clip == own_clip).all() and clip.size == 24_000
    assert (sound.clip(row)[0] == clip).all()
    assert sound.digest(row) == own_sound.digest(row)


def test_lengths_are_kept(store: Store, mine: Path, tmp_path: Path) -> None:
    url = Url("moodline", "mine/audio/Ses01F_impro01.wav")
    store.upload(mine, "mine")
    cache = Cache(tmp_path / "cache")
    assert measure(url, cache) == measure(mine / "audio" / "Ses01F_impro01.wav")
    asked = len(store.door.asked)
    measure(url, cache)
    assert [line.split()[0] for line in store.door.asked[asked:]] == ["HEAD"]
