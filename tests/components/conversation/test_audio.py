"""Whatever comes in, mono 16 kHz goes out, or one clear line."""

import io
import struct
import tempfile
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from components.base import InputError
from components.conversation import SAMPLE_RATE, audio_duration, read_audio
from components.conversation.audio import plain_wav


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(1.0, rate), rate)
    audio = read_audio(path)
    assert audio.dtype == np.float32
    assert len(audio) == pytest.approx(SAMPLE_RATE, abs=2)
    assert audio_duration(path) == pytest.approx(1.0, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(audio))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(0.5, 16_000), np.zeros(8_000)
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), left / 2, atol=1e-6)


def test_8_khz_stereo_and_96_khz_float(tmp_path: Path) -> None:
    for rate, subtype in ((8_000, "PCM_U8"), (96_000, "FLOAT")):
        stereo = np.column_stack([tone(0.5, rate)] * 2)
        soundfile.write(tmp_path / "a.wav", stereo, rate, subtype=subtype)
        assert len(read_audio(tmp_path / "a.wav")) == pytest.approx(8_000, abs=2)


def test_a_stretch_is_read_by_seeking(tmp_path: Path) -> None:
    ramp = np.linspace(-0.9, 0.9, 32_000)
    soundfile.write(tmp_path / "a.wav", ramp, 16_000, subtype="FLOAT")
    stretch = read_audio(tmp_path / "a.wav", 0.5, 1.25)
    np.testing.assert_allclose(stretch, ramp[8_000:20_000], atol=1e-6)
    assert len(read_audio(tmp_path / "a.wav", -1.0, 99.0)) == 32_000
    assert len(read_audio(tmp_path / "a.wav", 5.0, 6.0)) == 0


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp3", "libmp3lame"), ("m4a", "aac"), ("webm", "libopus")]
)
def test_what_soundfile_cannot_read(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    samples = tone(1.0, 48_000).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size or 960)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    audio = read_audio(path)
    assert len(audio) / SAMPLE_RATE == pytest.approx(1.0, abs=0.1)
    assert np.abs(audio).max() > 0.3
    assert len(read_audio(io.BytesIO(path.read_bytes()), 0.25, 0.5)) == 4_000
    with tempfile.SpooledTemporaryFile() as upload:  # a small upload; its mode is "w+b"
        upload.write(path.read_bytes())
        np.testing.assert_array_equal(read_audio(upload), audio)


def test_one_sample_and_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 16_000)
    assert len(read_audio(tmp_path / "one.wav")) == 1
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    assert not read_audio(tmp_path / "silent.wav").any()


def test_from_memory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(0.25, 8_000), 8_000, format="WAV")
    assert len(read_audio(buffer)) == 4_000


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_block_by_block_is_the_same_as_at_once(tmp_path: Path, rate: int) -> None:
    noise = np.random.default_rng(1).normal(size=(5 * rate + 7, 2)) * 0.1
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    at_once = soxr.resample(noise.mean(axis=1).astype(np.float32), rate, SAMPLE_RATE)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), at_once, atol=1e-5)


def test_a_stretch_of_something_huge_costs_what_the_stretch_costs(tmp_path: Path) -> None:
    """A minute of silence in eight channels at 192 kHz: little as FLAC, 369 megabytes decoded."""
    path = tmp_path / "bomb.flac"
    with soundfile.SoundFile(path, "w", 192_000, 8) as file:
        for _ in range(60):
            file.write(np.zeros((192_000, 8), np.int16))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    assert len(read_audio(path, 0.0, 20.0)) == 20 * SAMPLE_RATE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000, "decoded, these 20 s are 123 megabytes"


def test_a_header_that_promises_too_much_is_not_believed(tmp_path: Path) -> None:
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16,
                         1, 1, 16_000, 32_000, 2, 16, b"data", 2**32 - 9)  # fmt: skip
    (tmp_path / "a.wav").write_bytes(header + bytes(3_200))
    assert len(read_audio(tmp_path / "a.wav")) == 1_600


class TestBadInput:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file"):
            read_audio(tmp_path / "gone.wav")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a folder"):
            read_audio(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").touch()
        with pytest.raises(InputError, match=r"a\.wav: the file is empty"):
            read_audio(tmp_path / "a.wav")
        with pytest.raises(InputError, match="the file is empty"):
            read_audio(io.BytesIO())

    @pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST"])
    def test_a_header_and_no_sound(self, tmp_path: Path, form: str) -> None:
        soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000, format=form)
        for read in (read_audio, audio_duration):
            with pytest.raises(InputError, match=r"none\.wav: holds no sound that can be decoded"):
                read(tmp_path / "none.wav")

    def test_text_named_wav(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").write_text("these are not the sounds you are looking for\n" * 40)
        for read in (read_audio, audio_duration):
            with pytest.raises(InputError, match=r"a\.wav: is not audio") as error:
                read(tmp_path / "a.wav")
            assert "\n" not in str(error.value)

    def test_samples_that_are_not_numbers(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
        with pytest.raises(InputError, match="not numbers"):
            read_audio(tmp_path / "a.wav")

    def test_too_many_channels(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros((10, 64)), 16_000)
        with pytest.raises(InputError, match="64 channels"):
            read_audio(tmp_path / "a.wav")

    def test_a_list_of_other_files_is_not_followed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soundfile.write(tmp_path / "secret.wav", tone(1.0, 16_000), 16_000)
        monkeypatch.chdir(tmp_path)
        playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.wav\n#EXT-X-ENDLIST\n"
        for text in ("ffconcat version 1.0\nfile secret.wav\n", playlist):
            with pytest.raises(InputError, match="is not audio"):
                read_audio(io.BytesIO(text.encode()))
        (tmp_path / "list.m3u8").write_text(playlist)
        with pytest.raises(InputError, match="is not audio"):
            read_audio(tmp_path / "list.m3u8")

    def test_video_without_sound(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        with pytest.raises(InputError, match="no sound"):
            read_audio(path)


def a_wav(
    rate: int = SAMPLE_RATE, channels: int = 1, subtype: str = "PCM_16", form: str = "WAV"
) -> bytes:
    """A tenth of a second of noise, full scale included."""
    noise = np.random.default_rng(0).uniform(-1, 1, (rate // 10, channels))
    noise[:2] = [[-1.0], [1.0]]
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format=form, subtype=subtype)
    return file.getvalue()


def test_a_wav_that_needs_no_decoding_is_what_the_decoder_makes_of_it() -> None:
    plain = a_wav()
    rest = plain[8:36] + b"LIST\4\0\0\0note" + plain[36:]
    with_a_note = b"RIFF" + struct.pack("<I", len(rest)) + rest + b"more"
    for content in (plain, with_a_note):
        sound = plain_wav(io.BytesIO(content))
        assert sound is not None and sound.dtype == np.float32
        np.testing.assert_array_equal(sound, read_audio(io.BytesIO(content)))


@pytest.mark.parametrize(
    "content",
    [
        a_wav(rate=8_000),
        a_wav(channels=2),
        a_wav(subtype="PCM_24"),
        a_wav(subtype="PCM_U8"),
        a_wav(subtype="FLOAT"),
        a_wav(subtype="ULAW"),
        a_wav(form="WAVEX"),
        a_wav(form="RF64"),
        a_wav(form="FLAC"),
        a_wav()[:-1],
        a_wav()[:44],
        a_wav()[:30],
        b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff",
        b"",
    ],
)
def test_what_needs_decoding_or_is_damaged_is_not_plain(content: bytes) -> None:
    assert plain_wav(io.BytesIO(content)) is None
