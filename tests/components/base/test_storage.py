"""Locations by URL, local copies of objects, and what a store says when it cannot."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.base import (
    InputError,
    MissingError,
    Unavailable,
    Url,
    all_files,
    at_hand,
    beside,
    copy_from,
    file_digest,
    files_in,
    folders_in,
    located,
    scratch,
)
from components.base.cache import Cache
from tests.components.base.objects import ENDPOINT, Store, object_store
from tests.components.register.stores import BUCKET, free_port


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with object_store() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        scratch._states.clear()
        yield made


def test_places_as_users_write_them() -> None:
    assert located("calls/may") == Path("calls/may")
    assert located("s3://calls/2026/may/") == Url("calls", "2026/may")
    assert located(Path("s3://calls/2026")) == Url("calls", "2026")  # a path drops a slash
    assert str(located("s3://calls")) == "s3://calls"
    for text in ("s3://", "s3:///x", "s3://a"):
        with pytest.raises(InputError, match=r"names no bucket; an example: s3://bucket/path"):
            located(text)
    with pytest.raises(InputError, match=r"gs://…: is no location"):
        located("gs://calls/secret")
    with pytest.raises(InputError, match="holds credentials") as refused:
        located("s3://me:s3cr3t@calls/x")
    assert "s3cr3t" not in str(refused.value)


def test_what_a_manifest_names() -> None:
    folder = Url("calls", "may")
    assert beside(folder, "audio/a.wav") == Url("calls", "may/audio/a.wav")
    assert beside(folder, "../june/a.wav") == Url("calls", "june/a.wav")
    assert beside(folder, "/data/a.wav") == Path("/data/a.wav")
    assert beside(folder, "s3://other/a.wav") == Url("other", "a.wav")
    assert beside(Path("here"), "s3://other/a.wav") == Url("other", "a.wav")
    with pytest.raises(InputError, match="lies outside the bucket"):
        beside(folder, "../../a.wav")


def test_a_folder_of_objects(store: Store, tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "in/c.txt", "in/deep/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    url = located(store.upload(tmp_path, "tree"))
    assert isinstance(url, Url)
    store.client.put_object(Bucket=BUCKET, Key="tree/empty/", Body=b"")  # as some programs do
    for folder in (tmp_path, url):
        assert [p.name for p in files_in(folder)] == ["a.txt", "b.txt"]
        assert [parts for _, parts in all_files(folder)] == [
            ("a.txt",), ("b.txt",), ("in", "c.txt"), ("in", "deep", "d.txt"),
        ]  # fmt: skip
    assert [p.name for p in folders_in(url)] == ["empty", "in"]
    assert url.is_dir() and not url.is_file() and (url / "a.txt").is_file()
    assert not (url / "in/c").exists()  # a name's beginning is no name
    assert (url / "in" / "c.txt").read_bytes() == b"in/c.txt"


def test_a_copy_is_fetched_once_until_the_object_changes(store: Store) -> None:
    url = Url(BUCKET, "sound.wav")
    url.put_bytes(b"one")
    with at_hand(url) as first:
        assert (first.read_bytes(), first.suffix) == (b"one", ".wav")
    asked = len(store.door.asked)
    with at_hand(url) as again:
        assert again == first
    assert len(store.door.asked) == asked
    url.put_bytes(b"another")
    with pytest.raises(InputError, match="was changed while it was read"):
        url.fetch((first.parent / "x").open("wb"), scratch.object_state(url))
    with at_hand(url, url.state()) as other:
        assert other.read_bytes() == b"another"


def test_copies_are_bounded_and_one_in_use_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "SCRATCH_BYTES", 2500)
    urls = [Url(BUCKET, f"{name}.wav") for name in "abcd"]
    for url in urls:
        url.put_bytes(b"x" * 1000)
    with at_hand(urls[0]) as used:
        for url in urls[1:]:
            with at_hand(url) as copy:
                time.sleep(0.01)
        assert used.exists() and copy.exists()
        copies = [p for p in used.parent.iterdir() if not p.name.startswith(".")]
        assert sum(p.stat().st_size for p in copies) <= 2500 + 1000


def test_copies_go_with_their_process(store: Store, tmp_path: Path) -> None:
    Url(BUCKET, "a.wav").put_bytes(b"sound")
    code = "import os, sys; from components.base import Url, at_hand\n"
    code += f"with at_hand(Url('{BUCKET}', 'a.wav')) as p: print(p.read_bytes(), flush=True)\n"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop(scratch.SCRATCH, None)
    for end in ("", "os.kill(os.getpid(), 9)"):
        done = subprocess.run([sys.executable, "-c", code + end], env=environment, check=False,
                              capture_output=True, text=True)  # fmt: skip
        assert done.stdout == "b'sound'\n", done.stderr
        assert len(list(tmp_path.iterdir())) == bool(end)  # what is killed cannot clean up
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    assert not list(tmp_path.iterdir())  # the next one does


def test_a_digest_is_kept_until_the_object_changes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"sound")
    url = located(store.upload(tmp_path, "digests")) / "a.wav"
    cache = Cache(tmp_path / "cache")
    assert file_digest(url, cache) == file_digest(tmp_path / "a.wav")
    asked = len(store.door.asked)
    assert file_digest(url, cache) == file_digest(tmp_path / "a.wav")
    assert [line.split()[0] for line in store.door.asked[asked:]] == ["HEAD"]
    (tmp_path / "a.wav").write_bytes(b"other")
    store.upload(tmp_path, "digests")
    assert file_digest(url, cache) == file_digest(tmp_path / "a.wav")


def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(InputError, match=r"^s3://gone-bucket/a: no such bucket$"):
        Url("gone-bucket", "a").is_file()
    with pytest.raises(InputError, match=r"^s3://gone-bucket: no such bucket$"):
        Url("gone-bucket").is_dir()
    with pytest.raises(MissingError, match=rf"^s3://{BUCKET}/a: no such file$"):
        Url(BUCKET, "a").read_bytes()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "ExpiredToken", "the credentials have expired"),
        (403, "InvalidAccessKeyId", "refuses the credentials"),
        (403, "AccessDenied", "refuses the credentials"),
        (503, "SlowDown", "cannot now"),
    ],
)
def test_what_a_store_refuses(store: Store, status: int, code: str, words: str) -> None:
    url = Url(BUCKET, "a")
    url.put_bytes(b"x")
    store.door.refuse(status, code)
    # The answer to HEAD has no text: the reason is asked for.
    for ask in (url.state, url.is_file, url.is_dir, url.read_bytes):
        with pytest.raises(Unavailable, match=rf"^{url}: .*{words} \({code}: The store says"):
            ask()


def test_a_store_that_is_away_is_told_soon(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://me:s3cr3t@127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer") as told:
        Url(BUCKET, "a").read_bytes()
    assert time.monotonic() - began < 15
    assert "s3cr3t" not in str(told.value)


def test_without_credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(Unavailable, match="there are no credentials for it"):
        Url(BUCKET, "a").read_bytes()


@pytest.mark.parametrize("key", ["m/whisper/../../evil.txt", "m/whisper/./a.txt", "m/whisper/b//a"])
def test_no_key_leads_out_of_the_folder_that_a_copy_goes_to(
    store: Store, tmp_path: Path, key: str
) -> None:
    store.client.put_object(Bucket=BUCKET, Key="m/whisper/config.json", Body=b"{}")
    store.client.put_object(Bucket=BUCKET, Key=key, Body=b"evil")
    target = tmp_path / "home" / "models" / "whisper"
    target.parent.mkdir(parents=True)
    with pytest.raises(InputError, match=r"s3://.*: a file of a folder cannot have this name"):
        copy_from(Url(BUCKET, "m/whisper"), target)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not target.exists(), "whole or not at all"
