"""`/v1/speakers`: kept where that is allowed and asked for, used where it is named, erased."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from components.conversation import read_audio, read_rttm
from serving.keys import add_key
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from serving.voices import VoicePrint, VoiceStore
from tests.serving.helpers import post, start_log_service, upload, wait_until, wav

VOICE = VoicePrint(np.ones(8) / np.sqrt(8), "another model's digest")
ON = {"MOODLINE_SERVE_VOICE_PRINTS": "true"}


def enrol(url: str, name: str, sound: bytes, **more: str) -> httpx.Response:
    files = {"sample": ("s.wav", sound)}
    return httpx.post(f"{url}/v1/speakers", files=files, data={"name": name, **more}, timeout=120)


@pytest.fixture
def sheila(sample_dir: Path) -> bytes:
    return wav(read_audio(sample_dir / "sample.wav", 21.9, 28.4))


@pytest.mark.servers
@pytest.mark.models
@pytest.mark.timeout(600)
def test_a_speaker_known_by_a_voice_print(
    service: Serving, piece: bytes, sheila: bytes, demo_corpus: Path
) -> None:
    url = service.url
    kept = enrol(url, "Zebulon", sheila, consent="true")
    assert (kept.status_code, set(kept.json())) == (201, {"name", "created", "expires"}), kept.text
    assert enrol(url, "Zebulon", sheila, consent="true").status_code == 200
    assert enrol(url, "Yolanda", sheila, consent="true").status_code == 201
    listed = httpx.get(f"{url}/v1/speakers").json()["speakers"]
    assert [one["name"] for one in listed] == ["Yolanda", "Zebulon"]
    assert {key for one in listed for key in one} == {"name", "created", "expires"}
    asked = {"num_speakers": "1"}
    named = asked | {"speakers": "Zebulon"}
    job = post(service, "jobs", files=upload(piece, "call.wav"), data=named).headers["location"]
    answer = post(service, "analyze", files=upload(piece, "call.wav"), data=named).json()
    assert {turn["speaker"] for turn in answer["turns"]} == {"Zebulon"}
    # Two names for one voice: one gets it, the other is told of.
    both = asked | {"speakers": "Zebulon, Yolanda"}
    answer = post(service, "analyze", files=upload(piece), data=both).json()
    assert len({turn["speaker"] for turn in answer["turns"]}) == 1
    assert "has nobody who sounds like" in answer["notes"][0]
    answer = post(service, "analyze", files=upload(piece), data=asked).json()
    assert {turn["speaker"] for turn in answer["turns"]} == {"SPEAKER_00"}
    done = lambda: httpx.get(f"{url}{job}").json()  # noqa: E731
    assert wait_until(lambda: done()["state"] in ("done", "failed"), 120)
    assert {turn["speaker"] for turn in done()["result"]["turns"]} == {"Zebulon"}
    with_sample = [*upload(piece), ("speaker:Zebulon", ("s.wav", sheila))]
    twice = post(service, "analyze", files=with_sample, data=named)
    assert (twice.status_code, "asked for twice" in twice.json()["detail"]) == (422, True)
    for field in ({"channels": "true"}, {"speakers": "Zebulon,Zebulon"}):
        wrong = post(service, "analyze", files=upload(piece), data={"speakers": "Zebulon"} | field)
        assert wrong.status_code == 422
    with closing(VoiceStore(service.settings.home, ServeSettings())) as store:
        store.keep("", "Xerxes", VOICE)
    for path in ("analyze", "jobs"):
        old = post(service, path, files=upload(piece), data={"speakers": "Xerxes"})
        assert (old.status_code, "enrol again" in old.json()["detail"]) == (422, True)
    for name in ("Xerxes", "Yolanda", "Zebulon"):
        assert httpx.delete(f"{url}/v1/speakers/{name}").status_code == 204
        assert httpx.delete(f"{url}/v1/speakers/{name}").status_code == 404
    gone = post(service, "analyze", files=upload(piece), data=named)
    assert (gone.status_code, "no voice print" in gone.json()["detail"]) == (422, True)
    refused(url, sheila, demo_corpus)
    told = [path.read_text() for path in (service.settings.home / "logs").rglob("*.log")]
    assert told and not any("Zebulon" in text for text in told)
    assert "Zebulon" not in httpx.get(f"{url}/metrics").text


def refused(url: str, sheila: bytes, corpus: Path) -> None:
    """Samples that are no one voice's; nothing is kept of them."""
    time = np.arange(96_000) / 16_000
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6, 440.0))
    music = wav((0.1 * chord * (1 - 0.9 * (time % 0.5) / 0.5)).astype(np.float32))
    silence = wav(np.zeros(64_000, np.float32))
    two = wav(np.concatenate([voice(corpus, "Ses03_F"), voice(corpus, "Ses03_M")]))
    for name, sound, status, line in (
        ("Ann", silence, 422, "Ann: the sample has 0.0 s"),
        ("Ann", music, 422, "s of speech"),
        ("Ann", two, 422, "two voices"),
        ("Ann", b"", 400, "is empty"),
        ("Ann", b"no sound" * 100, 415, "the sample of Ann is not audio"),
        ("Ann Lee", sheila, 422, "take letters"),
        ("A" * 61, sheila, 422, "take letters"),
        ("SPEAKER_00", sheila, 422, "take letters"),
    ):
        response = enrol(url, name, sound, consent="true")
        assert (response.status_code, line in response.text) == (status, True), line
    assert httpx.get(f"{url}/v1/speakers").json() == {"speakers": []}


def voice(corpus: Path, speaker: str) -> np.ndarray:
    """Six seconds of one voice of the demo corpus."""
    (audio,) = corpus.rglob("Ses03F_script01_1.ogg")
    (spoken,) = read_rttm(corpus / "truth" / "Ses03F_script01_1.rttm").values()
    own = [read_audio(audio, s.start, s.end) for s in spoken if s.speaker == speaker]
    return np.concatenate(own)[:96_000]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """A service with two keys, without speech models."""
    keys = {name: add_key(tmp_path / "keys.txt", name) for name in ("web", "shop")}
    headers = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    more = {**ON, "MOODLINE_SERVE_KEYS": str(tmp_path / "keys.txt")}
    child, url = start_log_service(tmp_path / "home", **more)
    yield url, headers
    child.terminate()
    child.wait(20)


@pytest.mark.servers
def test_each_key_has_its_own(
    keyed: tuple[str, dict[str, dict[str, str]]], tmp_path: Path, piece: bytes
) -> None:
    url, headers = keyed
    with closing(VoiceStore(tmp_path / "home", ServeSettings())) as store:
        for name in ("Ann", "Bob"):
            store.keep("web", name, VOICE)
    of = lambda key: [  # noqa: E731
        one["name"]
        for one in httpx.get(f"{url}/v1/speakers", headers=headers[key]).json()["speakers"]
    ]
    assert (of("web"), of("shop")) == (["Ann", "Bob"], [])
    asked = {"files": {"audio": ("a.wav", piece)}, "data": {"speakers": "Ann"}}
    for path in ("analyze", "jobs"):
        response = httpx.post(f"{url}/v1/{path}", headers=headers["shop"], **asked)
        assert (response.status_code, "no voice print" in response.text) == (422, True)
    assert httpx.post(f"{url}/v1/jobs", headers=headers["web"], **asked).status_code == 202
    for key, status in (("shop", 404), ("web", 204)):
        erased = httpx.delete(f"{url}/v1/speakers/Ann", headers=headers[key])
        assert erased.status_code == status
    assert httpx.delete(f"{url}/v1/speakers/a%00b", headers=headers["web"]).status_code == 404
    assert of("web") == ["Bob"]
    assert httpx.get(f"{url}/v1/speakers").status_code == 401


@pytest.mark.servers
def test_nothing_is_stored_without_consent_or_where_it_is_not_allowed(
    tmp_path: Path, piece: bytes
) -> None:
    for settings, status, line in (
        ({}, 403, "keeps no voice prints"),
        (ON, 400, "consent=true"),
    ):
        home = tmp_path / str(status)
        child, url = start_log_service(home, **settings)
        try:
            for consent in ({}, {"consent": "false"}):
                response = enrol(url, "Ann", piece, **consent)
                assert (response.status_code, line in response.text) == (status, True)
            if status == 403:
                assert enrol(url, "Ann", piece, consent="true").status_code == 403
                asked = {"files": {"audio": ("a.wav", piece)}, "data": {"speakers": "Ann"}}
                assert httpx.post(f"{url}/v1/analyze", **asked).status_code == 403
                # What was kept before is still listed and erased.
                with closing(VoiceStore(home, ServeSettings())) as store:
                    store.keep("", "Ann", VOICE)
                assert len(httpx.get(f"{url}/v1/speakers").json()["speakers"]) == 1
                assert httpx.delete(f"{url}/v1/speakers/Ann").status_code == 204
            else:
                assert not list(home.rglob("*voices*"))
        finally:
            child.terminate()
            child.wait(20)
