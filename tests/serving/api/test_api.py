"""The API beyond the first recording: forms of answers, alignment, names, deadlines."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from components.align import align
from components.conversation import SpeakerSegment, parse_words, read_audio
from components.conversation.seglst import turn_entry
from components.traffic import TurnLog
from serving.supervisor.serve import Serving
from tests.serving.helpers import heard, metric, post, upload, wait_until, wav
from tests.sides import sides

pytestmark = [pytest.mark.servers, pytest.mark.models, pytest.mark.timeout(300)]


TRANSCRIPT = {
    "segments": [
        {
            "start": 0.4,
            "end": 2.1,
            "text": "Hello, who is it?",
            "words": [
                {"word": "Hello,", "start": 0.4, "end": 0.8, "score": 0.98},
                {"word": "who", "start": 0.8, "end": 1.1, "score": float("nan")},
                {"word": "is"},
                {"word": "it?", "start": 1.7, "end": 2.1},
            ],
        },
        {"start": 3.0, "end": 4.0, "text": "Me."},
    ]
}


SPEAKERS = [
    {"start": 0.3, "end": 1.2, "speaker": "A"},
    {"start": 1.5, "end": 2.2, "speaker": "B"},
    {"start": 2.9, "end": 4.0, "speaker": "A"},
]


AS_JSON = {"content-type": "application/json"}
RTTM = "".join(
    f"SPEAKER call 1 {s['start']} {s['end'] - s['start']:.3f} <NA> <NA> {s['speaker']} <NA> <NA>\n"
    for s in SPEAKERS
)


@pytest.fixture(scope="module")
def align_request() -> bytes:
    body = {"words": TRANSCRIPT, "speakers": SPEAKERS, "session_id": "call"}
    return json.dumps(body).encode()  # with NaN, as Python writes it


def test_words_and_speakers_become_the_turns_of_the_library(
    service: Serving, align_request: bytes
) -> None:
    response = post(service, "align", content=align_request, headers=AS_JSON)
    assert response.status_code == 200, response.text
    segments = [SpeakerSegment(s["start"], s["end"], s["speaker"]) for s in SPEAKERS]
    turns = align(parse_words(TRANSCRIPT, "words"), segments, session_id="call")
    assert response.json() == [turn_entry(turn) for turn in turns]
    assert [turn.words for turn in turns] == ["Hello, who", "is it?", "Me."]
    by_rttm = {"words": {"segments": TRANSCRIPT["segments"][1:]}, "speakers": RTTM}
    assert post(service, "align", json=by_rttm).json() == [turn_entry(turns[2])]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"speakers": RTTM + RTTM.replace("call", "other")}, 422, "2 recordings (call, oth"),
        ({"speakers": "hello"}, 422, "line 1: is not RTTM"),
        ({"speakers": [{"start": 2, "end": 1, "speaker": "A"}]}, 422, "ends before it starts"),
        ({"words": {"segments": [{"start": 2, "text": "a"}]}}, 422, "words.segments.0.end"),
        ({"words": {"segments": [{"start": 2, "end": 3}]}}, 422, "segment 1"),
        ({"words": {"segments": [{"start": -1, "end": 3}]}}, 422, "words.segments.0.start"),
        ({"words": {}}, 422, "words.segments"),
        ({"max_pause": -1}, 422, "max_pause"),
        ({"max_pause": "never"}, 422, "max_pause"),
        ({"method": "guess"}, 422, "method"),
        ({"session_id": "x" * 20_000_000}, 413, "10 megabytes"),
    ],
)
def test_what_cannot_be_aligned(
    service: Serving, change: dict[str, Any], status: int, words: str
) -> None:
    body = {"words": {"segments": TRANSCRIPT["segments"][1:]}, "speakers": SPEAKERS} | change
    response = post(service, "align", json=body)
    assert response.status_code == status, response.text
    assert words in response.json()["detail"]
    assert "\n" not in response.json()["detail"]


def test_a_channel_for_each_speaker(service: Serving, demo_corpus: Path) -> None:
    talk = sides(demo_corpus)
    told = post(service, "analyze", files=upload(talk.file(), "call.wav")).json()
    assert any("channels=true" in note for note in told["notes"])
    asked = {"channels": "true", "words": "true"}
    response = post(service, "analyze", files=upload(talk.file(), "call.wav"), data=asked)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert {turn["speaker"] for turn in answer["turns"]} == {"CHANNEL_1", "CHANNEL_2"}
    assert {word["speaker"] for word in answer["words"]} == {"CHANNEL_1", "CHANNEL_2"}
    assert "notes" not in answer
    for content, more, line in (
        (talk.file(talk.sound[:1]), {}, "the recording: has one channel"),
        (talk.file(), {"num_speakers": "2"}, "channels: each is a speaker"),
    ):
        response = post(service, "analyze", files=upload(content), data=asked | more)
        assert response.status_code == 422
        assert line in response.json()["detail"]


def test_a_speaker_known_by_a_sample(service: Serving, piece: bytes, sample_dir: Path) -> None:
    """At once and as a job; nothing is kept of the sample."""
    sheila = wav(read_audio(sample_dir / "sample.wav", 21.9, 28.4))
    files = [*upload(piece, "call.wav"), ("speaker:Sheila", ("s.wav", sheila))]
    asked = {"num_speakers": "1"}
    response = post(service, "analyze", files=files, data=asked)
    assert response.status_code == 200, response.text
    assert {turn["speaker"] for turn in response.json()["turns"]} == {"Sheila"}
    job = post(service, "jobs", files=files, data=asked).headers["location"]
    done = lambda: httpx.get(f"{service.url}{job}").json()  # noqa: E731
    assert wait_until(lambda: done()["state"] in ("done", "failed"), 60)
    assert {turn["speaker"] for turn in done()["result"]["turns"]} == {"Sheila"}
    again = post(service, "analyze", files=upload(piece, "call.wav"), data=asked)
    assert {turn["speaker"] for turn in again.json()["turns"]} == {"SPEAKER_00"}
    for field, content, status, line in (
        ("speaker:Ann", wav(np.zeros(64_000, np.float32)), 422, "Ann: the sample has 0.0 s"),
        ("speaker:Ann", b"", 400, "the sample of Ann is empty"),
        ("speaker:Ann", b"not a sound" * 100, 415, "the sample of Ann is not audio"),
        ("speaker:Ann Lee", sheila, 422, "take letters"),
    ):
        files = [*upload(piece), (field, ("s.wav", content))]
        response = post(service, "analyze", files=files)
        assert (response.status_code, line in response.json()["detail"]) == (status, True)


def test_turns_come_in_the_form_that_is_accepted(service: Serving, piece: bytes) -> None:
    found = {}
    whole = {"line_length": "200", "max_lines": "10"}  # a cue for each turn
    for form in ("text/vtt", "application/x-subrip", "text/x-rttm", "application/json"):
        response = post(
            service,
            "analyze",
            files=upload(piece, "my call.wav"),
            data={"num_speakers": "1", "words": "true", **whole},
            headers={"accept": form},
        )
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith(form)
        found[form] = response
    turns = found["application/json"].json()["turns"]
    cues = found["text/vtt"].text.split("\n\n")
    assert cues[0] == "WEBVTT"
    assert f"<v {turns[0]['speaker']}>[{turns[0]['emotion']}] {turns[0]['words']}" in cues[1]
    first, titles = turns[0], found["application/x-subrip"].text.rstrip().split("\n\n")
    assert titles[0].endswith(f"\n{first['speaker']}: [{first['emotion']}] {first['words']}")
    asked = {"num_speakers": "1", "format": "srt", "line_length": "20", "max_lines": "1"}
    short = post(service, "analyze", files=upload(piece, "my call.wav"), data=asked)
    assert short.headers["content-type"].startswith("application/x-subrip")
    assert len(short.text.split("\n\n")) > len(titles)
    lines = found["text/x-rttm"].text.splitlines()
    assert len(lines) == len(cues) - 1 == len(turns)
    assert lines[0].split()[:2] == ["SPEAKER", "my_call"]
    words = found["application/json"].json()["words"]
    assert [word["word"] for word in words] == " ".join(t["words"] for t in turns).split()
    for word in words:
        assert 0 <= word["start"] <= word["end"] <= 6.1
        assert word["speaker"] in {turn["speaker"] for turn in turns}
    refused = post(service, "analyze", files=upload(piece), headers={"accept": "image/png"})
    assert refused.status_code == 406


def test_the_model_tells_its_version(service: Serving) -> None:
    model = httpx.get(f"{service.url}/v1/model").json()
    assert (model["name"], model["version"], model["alias"]) == ("moodline", "3", "production")
    assert {"digest", "verdict"} <= model.keys()


def test_a_request_keeps_its_name(service: Serving) -> None:
    for given in ("my-request.1", "not a name"):
        answer = httpx.get(f"{service.url}/v1/model", headers={"x-request-id": given})
        assert (answer.headers["x-request-id"] == given) is (" " not in given)
        own = answer.headers["x-moodline-request-id"]
        assert own and own != given


def test_what_is_being_analysed_is_erased_too(service: Serving, piece: bytes) -> None:
    """Its sender gets the answer, and nothing of it is kept."""
    log = TurnLog(service.settings.log, service.settings.feedback_url)

    def is_under_way() -> bool:
        with log.open().begin() as connection:
            return (
                connection.exec_driver_sql("SELECT * FROM moodline_under_way").first() is not None
            )

    before = len(log.window())
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(post, service, "analyze", files=upload(piece, "erased soon.wav"))
        assert wait_until(is_under_way, 60)
        erased = httpx.delete(f"{service.url}/v1/recordings/erased soon.wav")
        answer = sent.result()
    assert (erased.status_code, erased.json()["under_way"]) == (200, 1), erased.text
    assert answer.status_code == 200
    assert answer.json()["request_id"] == answer.headers["x-moodline-request-id"]
    assert not is_under_way()
    assert len(log.window()) == before
    log.close()
    again = httpx.delete(f"{service.url}/v1/recordings/erased soon.wav")
    assert again.status_code == 404


def test_after_the_deadline_the_work_ends_too(service: Serving, sample: bytes) -> None:
    before = {stage: heard(service, stage) for stage in ("decode", "align")}
    counted = 'moodline_requests_total{path="/v1/analyze",status="'
    gone, failed = (metric(service.url, counted + status) for status in ("499", "5"))
    late = post(service, "analyze", files=upload(sample), headers={"x-deadline-seconds": "1.5"})
    assert late.status_code == 504, late.text
    assert "deadline" in late.json()["detail"]
    with pytest.raises(httpx.ReadTimeout):  # a sender who hangs up
        post(service, "analyze", files=upload(sample), timeout=1.5)
    assert wait_until(lambda: metric(service.url, "moodline_waiting") == 0, 60)
    assert heard(service, "align") == before["align"], "neither was worked on to its end"
    assert heard(service, "decode") > before["decode"]
    assert wait_until(lambda: metric(service.url, counted + "499") == gone + 2, 60)
    assert metric(service.url, counted + "5") == failed
    wrong = post(service, "analyze", files=upload(sample), headers={"x-deadline-seconds": "-1"})
    assert wrong.status_code == 422


def test_a_long_recording_keeps_nobody_waiting(
    service: Serving, sample_dir: Path, piece: bytes, align_request: bytes
) -> None:
    """While one of 59 s is heard, clips, words and a recording of 6 s are answered."""
    sound = read_audio(sample_dir / "sample.wav")
    minute = wav(np.concatenate([sound, sound])[: 59 * 16_000])
    clip = upload(wav(np.zeros(1_600)))
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(post, service, "analyze", files=upload(minute))
        assert wait_until(lambda: metric(service.url, "moodline_waiting") == 1, 60)
        for _ in range(3):
            classified = post(service, "classify", files=clip, data={"text": "a"})
            words = post(service, "align", content=align_request, headers=AS_JSON)
            assert (classified.status_code, words.status_code) == (200, 200)
        short = post(service, "analyze", files=upload(piece), data={"num_speakers": "1"})
        assert short.status_code == 200
        assert not long.done()
        assert long.result().status_code == 200


def test_the_description_teaches(service: Serving) -> None:
    schema = httpx.get(f"{service.url}/openapi.json").json()
    paths = schema["paths"]
    assert set(paths) >= {
        "/v1/analyze", "/v1/classify", "/v1/align", "/v1/model", "/v1/jobs", "/v1/jobs/{id}",
        "/v1/recordings/{name}",
    }  # fmt: skip
    assert {"text/vtt", "text/x-rttm"} < set(
        paths["/v1/analyze"]["post"]["responses"]["200"]["content"]
    )
    assert schema["components"]["schemas"]["AlignIn"]["examples"]
    example = schema["components"]["schemas"]["AlignIn"]["examples"][0]
    assert [turn["words"] for turn in post(service, "align", json=example).json()] == [
        "Hello, who", "is it?",
    ]  # fmt: skip
    for operations in paths.values():
        for operation in operations.values():
            assert operation["summary"] and operation["description"]


def test_a_large_transcript_keeps_nobody_waiting(service: Serving) -> None:
    words = [{"word": "a", "start": n / 10, "end": n / 10 + 0.1} for n in range(60_000)]
    body = {"words": {"segments": [{"start": 0, "end": 6_000, "words": words}]}, "speakers": []}
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(post, service, "align", json=body)
        answered = 0
        while not large.done():
            assert httpx.get(f"{service.url}/v1/model", timeout=30).status_code == 200
            answered += 1
        turns = large.result().json()
    assert len(turns) == 1 and turns[0]["speaker"] == "unknown"
    assert answered > 2
