"""Every form of sound, small and large, through every endpoint: one answer, and what is odd."""

import io
from typing import Any

import httpx
import numpy as np
import pytest

from components.config import Settings
from serving.engine.decoding import decode
from serving.engine.speech import Speech
from serving.errors import NotAudioError, TooLongError
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from tests.serving.helpers import wait_until
from tests.sounds import beeps, packed, padded, unpacked

SOUND = beeps(3)
LARGE = 5_000_000
PADDED = ("wav", "flac", "mp3", "m4a", "mp4", "webm", "mka")


def forms() -> dict[str, bytes]:
    """A file of each form that the page names, small; and large, where bytes can be added."""
    small = {
        suffix: packed(suffix, [SOUND]) for suffix in ("mp3", "m4a", "mp4", "webm", "mka", "aac")
    }
    small |= {
        "wav": unpacked(SOUND),
        "flac": unpacked(SOUND, "FLAC"),
        "ogg": unpacked(SOUND, "OGG", "VORBIS"),
        "opus": unpacked(SOUND, "OGG", "OPUS"),
    }
    large = {f"large.{form}": padded(form, small[form], LARGE) for form in PADDED}
    return {f"small.{form}": content for form, content in small.items()} | large


FORMS = forms()


@pytest.mark.servers
@pytest.mark.models
@pytest.mark.timeout(300)
class TestService:
    @pytest.mark.parametrize("name", [n for n in FORMS if n not in ("large.mp4", "large.mka")])
    def test_a_recording(self, service: Serving, name: str) -> None:
        answer = self.analyze(service, name, FORMS[name])
        assert answer["duration"] == pytest.approx(3, abs=0.1)
        assert "notes" not in answer

    def test_clips(self, service: Serving) -> None:
        for name, content in FORMS.items():
            files = [("audio", (name, content)), ("audio", ("a.wav", FORMS["small.wav"]))]
            answer = self.classify(service, files)
            assert len(answer["clips"]) == 2
            assert "notes" not in answer

    @pytest.mark.parametrize("name", ["small.webm", "large.m4a"])
    def test_a_job(self, service: Serving, name: str) -> None:
        response = httpx.post(
            f"{service.url}/v1/jobs", files={"audio": (name, FORMS[name])}, timeout=60
        )
        assert response.status_code == 202, response.text
        url = f"{service.url}/v1/jobs/{response.json()['id']}"
        assert wait_until(lambda: httpx.get(url).json()["state"] in ("done", "failed"), 120)
        job = httpx.get(url).json()
        assert job["state"] == "done", job
        assert job["result"]["duration"] == pytest.approx(3, abs=0.1)

    def test_what_is_odd_is_in_the_answer(self, service: Serving) -> None:
        two = packed("mkv", [SOUND, 0 * SOUND])
        assert self.analyze(service, "two.mkv", two)["notes"] == [
            "the recording has 2 tracks of sound; they are mixed"
        ]
        cut = unpacked(SOUND)[:-30_000]
        files = [("audio", ("a.wav", unpacked(SOUND))), ("audio", ("b.wav", cut))]
        (note,) = self.classify(service, files)["notes"]
        assert note.startswith("clip 2 is cut: its header announces 3.00 s")

    def test_a_bomb_is_refused(self, service: Serving) -> None:
        bomb = unpacked(np.zeros(2 * 3_600 * 16_000), "FLAC")
        for path, fields in (("analyze", {}), ("classify", {"text": ""})):
            response = httpx.post(
                f"{service.url}/v1/{path}",
                files={"audio": ("a.flac", bomb)}, data=fields, timeout=60,
            )  # fmt: skip
            assert response.status_code == 413, response.text
            assert "longer than" in response.json()["detail"]

    @staticmethod
    def classify(service: Serving, files: list[Any]) -> dict[str, Any]:
        data = {"text": [""] * len(files)}
        response = httpx.post(f"{service.url}/v1/classify", files=files, data=data, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    @staticmethod
    def analyze(service: Serving, name: str, content: bytes) -> dict[str, Any]:
        response = httpx.post(
            f"{service.url}/v1/analyze", files={"audio": (name, content)}, timeout=120
        )
        assert response.status_code == 200, response.text
        return response.json()


class TestLanes:
    """A recording's queue follows its sound, whatever its header claims."""

    @pytest.fixture
    def speech(self, tmp_path) -> Speech:
        return Speech(Settings(home=tmp_path, max_seconds=60), ServeSettings(short_seconds=5))

    def test_a_short_recording_without_a_length(self, speech: Speech) -> None:
        live = packed("webm", [SOUND], options={"live": "1"})
        assert speech.is_short(io.BytesIO(live))
        lying = bytearray(packed("mp3", [SOUND]))
        field = max(lying.find(b"Xing"), lying.find(b"Info")) + 8
        lying[field : field + 4] = (100_000).to_bytes(4, "big")
        assert speech.is_short(io.BytesIO(bytes(lying)))

    def test_a_long_recording_that_claims_to_be_short(self, speech: Speech) -> None:
        long = bytearray(packed("webm", [beeps(9)]))
        field = long.index(b"\x44\x89\x88") + 3  # Matroska's Duration, eight bytes
        assert long[field : field + 8] != bytes(8)
        long[field : field + 8] = b"\x40\x8f\x40" + bytes(5)  # 1000.0: a second
        assert not speech.is_short(io.BytesIO(bytes(long)))
        wav = bytearray(unpacked(beeps(9)))
        wav[40:44] = (32_000).to_bytes(4, "little")
        assert not speech.is_short(io.BytesIO(bytes(wav)))

    def test_samples_of_voices_are_listened_to_as_well(self, speech: Speech) -> None:
        sound = unpacked(SOUND)  # 3 s
        assert speech.is_short(io.BytesIO(sound), {})
        assert not speech.is_short(io.BytesIO(sound), {"Ann": io.BytesIO(sound)})
        with pytest.raises(NotAudioError, match="the sample of Ann is not audio"):
            speech.is_short(io.BytesIO(sound), {"Ann": io.BytesIO(b"hello " * 100)})

    def test_what_cannot_be_taken_does_not_wait(self, speech: Speech) -> None:
        with pytest.raises(TooLongError, match="longer than 60 seconds"):
            speech.is_short(io.BytesIO(unpacked(beeps(61), "FLAC")))
        with pytest.raises(NotAudioError, match="the recording is not audio"):
            speech.is_short(io.BytesIO(b"hello " * 100))


def test_decoding_stops_at_the_limit_though_the_packets_lie() -> None:
    """An Xing header that counts little, and a hole of fifty minutes."""
    with pytest.raises(TooLongError):
        decode(io.BytesIO(packed("webm", [SOUND], hole=(1.0, 3_000.0))), 60, "it")
