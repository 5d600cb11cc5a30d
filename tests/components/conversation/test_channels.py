"""Channels by themselves, crosstalk between them, and recordings that have no speaker on each."""

import io
from pathlib import Path

import numpy as np
import pytest

from components.base import InputError
from components.conversation import SAMPLE_RATE, check_channels, listen, read_audio, read_channels
from components.conversation.audio_downmix import Downmix, Mix
from components.conversation.crosstalk import HOP, crosstalk
from tests.sides import CROSSTALK, DELAY, NOISE, Sides, sides
from tests.sounds import packed


@pytest.fixture(scope="module")
def talk(demo_corpus: Path) -> Sides:
    return sides(demo_corpus)


def speech(talk: Sides, channel: int) -> np.ndarray:
    """Which samples are this channel's own speech."""
    own = np.zeros(talk.sound.shape[1], bool)
    for s in talk.spoken:
        if s.speaker == f"CHANNEL_{channel + 1}":
            own[round(s.start * SAMPLE_RATE) : round(s.end * SAMPLE_RATE)] = True
    return own


def test_each_channel_keeps_its_own_speech_and_loses_the_others(talk: Sides) -> None:
    channels = read_channels(io.BytesIO(talk.file()))
    assert channels.shape == talk.sound.shape
    for number, channel in enumerate(channels.astype(float)):
        own, other = speech(talk, number), speech(talk, 1 - number)
        before = talk.sound[number].astype(float)
        assert np.square(channel[own]).sum() > 0.97 * np.square(before[own]).sum()
        alone = other & ~own
        assert np.square(channel[alone]).sum() < 0.1 * np.square(before[alone]).sum()


def test_what_a_room_makes_of_it_is_crosstalk_and_another_quiet_voice_is_not(talk: Sides) -> None:
    dice = np.random.default_rng(1)
    room = dice.normal(size=4_000) * 10 ** (-3 * np.arange(4_000) / (0.3 * SAMPLE_RATE))
    room[DELAY] += 0.5 * np.sqrt(np.square(room).sum())
    room /= np.sqrt(np.square(room).sum())
    voice = talk.sound[0, speech(talk, 0)].astype(float)
    echo = np.convolve(voice, room)[: len(voice)]
    second = talk.sound[1, speech(talk, 1)].astype(float)
    other = np.resize(second, len(voice))
    for copy, least, most in ((echo, 0.8, 1.0), (other, 0.0, 0.1)):
        quiet = CROSSTALK * copy + dice.normal(0, NOISE, len(voice))
        found = crosstalk(np.stack([voice, quiet]).astype(np.float32))
        heard = np.square(voice).reshape(-1)[: found.shape[1] * 1600]
        loud = [heard[i * 1600 : (i + 1) * 1600].mean() > 1e-4 for i in range(found.shape[1])]
        assert least <= found[1, loud].mean() <= most
        assert not found[0].any()


def test_crosstalk_is_found_alike_wherever_a_block_ends(talk: Sides) -> None:
    whole = crosstalk(np.tile(talk.sound, 5))  # 45 s: more than one block
    once = crosstalk(talk.sound)
    width = talk.sound.shape[1] // round(HOP * SAMPLE_RATE)
    for start in range(width, 4 * width, width):
        middle = slice(start + 5, start + width - 5)
        assert (whole[:, middle] == once[:, 5 : width - 5]).mean() > 0.99


def test_more_channels_a_silent_one_and_less_than_a_second(demo_corpus: Path) -> None:
    talk = sides(demo_corpus, channels=4)
    silent = talk.sound.copy()
    silent[3] = 0
    channels = read_channels(io.BytesIO(talk.file(silent)))
    assert channels.shape == silent.shape
    power = np.square(channels.astype(float)).mean(axis=1)
    assert power[:2].min() > 100 * power[2:].max()
    assert power[3] == 0
    short = read_channels(io.BytesIO(talk.file(talk.sound[:2, 8_000:9_000])))
    assert short.shape == (2, 1_000)


def test_no_speaker_on_each_channel(talk: Sides, tmp_path: Path) -> None:
    mono, many = talk.file(talk.sound[:1]), talk.file(np.tile(talk.sound, (5, 1)))
    path = tmp_path / "mono.wav"
    path.write_bytes(mono)
    with pytest.raises(InputError, match=r"mono\.wav: has one channel"):
        read_channels(path)
    for content, line in (
        (many, "the call: has 10 channels; at most 8"),
        (talk.file(np.stack([talk.sound[0], 0.9 * talk.sound[0]])), "the same sound in all 2"),
        (packed("m4a", [talk.sound[0]]), "has one channel"),
    ):
        with pytest.raises(InputError, match=line):
            read_channels(io.BytesIO(content), "the call")
    with pytest.raises(InputError, match="the audio: has one channel"):
        check_channels(io.BytesIO(mono))


def test_channels_that_are_a_speaker_s_each_are_noticed(talk: Sides) -> None:
    mean = listen(io.BytesIO(talk.file()))
    assert mean.apart
    np.testing.assert_allclose(mean.samples, talk.sound.mean(axis=0), atol=1e-3)
    dice = np.random.default_rng(2)
    tune = np.cumsum(dice.normal(size=(3, 9 * SAMPLE_RATE)), axis=1)
    tune = 0.1 * np.diff(tune, axis=1, prepend=0.0)
    stereo = np.stack([tune[0] + tune[1], tune[0] + tune[2]])  # a singer, and instruments beside
    room = talk.sound + 0.5 * talk.sound[::-1]  # two microphones on a table
    one_side = np.stack([talk.sound.sum(axis=0), 0 * talk.sound[0]])
    for sound in (stereo, room, one_side, talk.sound[:1], talk.sound[:, : 4 * SAMPLE_RATE]):
        assert not listen(io.BytesIO(talk.file(sound))).apart


def test_one_channel_of_changing_many() -> None:
    """Joined recordings may have fewer channels from a place on."""
    mix = Mix(1)
    downmix = Downmix(mix)
    both = np.array([[1, 2], [3, 4]], np.float32)
    assert downmix(both, 0.0, SAMPLE_RATE).tolist() == [2, 4]
    assert downmix(both[:, :1], 0.1, SAMPLE_RATE).tolist() == [0, 0]
    assert mix.channels == 2


def test_a_packed_file_of_two_channels(talk: Sides, tmp_path: Path) -> None:
    """By PyAV, which decodes it frame by frame."""
    import av

    path = tmp_path / "call.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(talk.sound, format="fltp", layout="stereo")
        frame.rate = SAMPLE_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    assert listen(path).apart
    channels = read_channels(path)
    assert channels.shape[0] == 2
    mean = channels.astype(np.float32).mean(axis=0)
    whole = read_audio(path)
    loud = np.abs(whole) > 0.05
    assert np.corrcoef(mean[loud], whole[loud])[0, 1] > 0.95
