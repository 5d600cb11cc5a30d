"""Sound as it comes: headers that lie, holes, damage, several tracks; what is odd is told."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.base import Cache, InputError
from components.conversation import SAMPLE_RATE, Length, listen, measure, read_audio
from components.conversation.audio import plain_wav
from components.conversation.audio_ends import is_film_cut
from components.conversation.audio_headers import sizes
from components.conversation.audio_length import is_longer_than, seconds_up_to
from tests.sounds import CODECS, beep_times, beeps, heard, packed, padded, unpacked, written

SECONDS = 6
SOUND = beeps(SECONDS)


def with_zeros(content: bytes, count: int = 2_000) -> bytes:
    """Damaged in the middle."""
    at = len(content) // 2
    return content[:at] + bytes(count) + content[at + count :]


@pytest.mark.parametrize("suffix", [*CODECS, "wav", "ogg"])
def test_every_form_gives_one_answer_whichever_way_it_comes(tmp_path: Path, suffix: str) -> None:
    content = {
        "wav": lambda: unpacked(SOUND),
        "ogg": lambda: unpacked(SOUND, "OGG", "VORBIS"),
    }.get(suffix, lambda: packed(suffix, [SOUND]))()
    path = written(tmp_path, f"a.{suffix}", content)
    sound = listen(path)
    assert beep_times(sound.samples) == [0, 1, 2, 3, 4, 5]
    assert sound.notes == ()
    length = measure(path)
    assert length.seconds == pytest.approx(SECONDS, abs=0.1)
    assert length.seconds == pytest.approx(len(sound.samples) / SAMPLE_RATE, abs=1e-4)
    with tempfile.SpooledTemporaryFile() as upload:
        upload.write(content)
        np.testing.assert_array_equal(listen(upload).samples, sound.samples)
    assert seconds_up_to(path, 2) < 3.0 + 0.1
    assert not is_longer_than(path, SECONDS + 1)
    assert is_longer_than(path, SECONDS - 1)


@pytest.mark.parametrize(
    "suffix", ["mp3", "m4a", "webm", "ts", "opus", "flac", "mka", "avi", "mpg"]
)
def test_a_stretch_is_that_part_of_the_whole(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, f"a.{suffix}", packed(suffix, [SOUND], hole=(1.0, 1.0)))
    if suffix in ("mp3", "opus", "flac", "avi"):  # without a clock of their own
        path = written(tmp_path, f"a.{suffix}", packed(suffix, [SOUND]))
    whole = read_audio(path)
    for start, end in ((0.0, 1.0), (1.25, 3.0), (4.1, 5.3), (5.2, 99.0), (50.0, 60.0)):
        part = read_audio(path, start, end)
        expected = whole[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        assert abs(len(part) - len(expected)) <= 32
        shared = min(len(part), len(expected))
        if shared:
            same = np.corrcoef(part[:shared], expected[:shared])[0, 1]
            assert same > 0.8  # a millisecond of Matroska's clock apart at most


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "webm", "mka", "flac"])
def test_the_size_of_a_file_does_not_matter(suffix: str) -> None:
    content = packed(suffix, [SOUND])
    large = padded(suffix, content, 5_000_000)
    assert len(large) >= 5_000_000
    assert heard(large) == heard(content)


class TestHeadersThatLie:
    FORMS = (
        ("WAV", "PCM_16", b"data", 4, "little"),
        ("WAV", "ULAW", b"data", 4, "little"),
        ("WAV", "IMA_ADPCM", b"data", 4, "little"),
        ("WAVEX", "PCM_24", b"data", 4, "little"),
        ("RF64", "PCM_16", b"ds64", 8, "little"),
        ("W64", "PCM_16", b"data\xf3\xac", 8, "little"),
        ("AIFF", "PCM_16", b"SSND", 4, "big"),
        ("AU", "PCM_16", b".snd", 4, "big"),
        ("CAF", "PCM_16", b"data", 8, "big"),
    )

    @pytest.mark.parametrize(("form", "subtype", "mark", "width", "order"), FORMS)
    @pytest.mark.parametrize("share", [0, 0.25, "unknown"])
    def test_a_size_that_is_wrong(
        self, form: str, subtype: str, mark: bytes, width: int, order: str, share: float | str
    ) -> None:
        content = unpacked(SOUND, form, subtype)
        honest = listen(io.BytesIO(content)).samples
        skip = {"RF64": 16, "W64": 16, "AU": 8}.get(form, 4)
        field = content.index(mark) + skip
        size = int.from_bytes(content[field : field + width], order)
        if share == "unknown":
            lie = (1 << 8 * width) - 1 if width == 4 else (1 << 63) - 1
        else:
            lie = round(size * float(share)) & ~7
        wrong = content[:field] + lie.to_bytes(width, order) + content[field + width :]
        sound = listen(io.BytesIO(wrong))
        np.testing.assert_array_equal(sound.samples, honest)
        assert sound.notes == listen(io.BytesIO(wrong), 0.0, 60.0).notes
        assert bool(sound.notes) == (share == 0.25)
        stretch = read_audio(io.BytesIO(wrong), 3.0, 4.0)
        np.testing.assert_array_equal(stretch, honest[3 * SAMPLE_RATE : 4 * SAMPLE_RATE])

    def test_a_size_beyond_four_gigabytes(self, tmp_path: Path) -> None:
        head = bytearray(unpacked(SOUND[:1000])[:44])
        more = (1 << 32) + 64_000  # bytes of sound; its field of 32 bits says 64,000
        head[4:8] = (64_000 + 36).to_bytes(4, "little")
        head[40:44] = (64_000).to_bytes(4, "little")
        with (tmp_path / "long.wav").open("wb") as file:
            file.write(head)
            file.truncate(len(head) + more - 32_000)
            file.seek(0, 2)
            file.write((SOUND[:16_000] * 32_767).astype("<i2").tobytes())
        with (tmp_path / "long.wav").open("rb") as file:
            said = sizes(file)
        assert said and said.announced == 64_000 and said.present == more
        last = more / 32_000
        end = read_audio(tmp_path / "long.wav", last - 1, last + 5)
        np.testing.assert_allclose(end, SOUND[:16_000], atol=1e-4)
        assert not is_longer_than(tmp_path / "long.wav", last + 1)

    def test_chunks_tags_and_padding_behind_the_sound_are_no_sound(self) -> None:
        content = unpacked(SOUND)
        notes = b"LIST" + (2_000).to_bytes(4, "little") + bytes(range(250)) * 8
        for more in (notes, notes * 3, b"ID3" + bytes(4_000), bytes(30_000), b"TAG" + bytes(5_000)):
            assert len(listen(io.BytesIO(content + more)).samples) == len(SOUND)
            assert plain_wav(io.BytesIO(content + more)) is not None

    def test_the_quick_way_does_not_believe_either(self) -> None:
        content = bytearray(unpacked(SOUND))
        content[40:44] = (12_000).to_bytes(4, "little")
        assert plain_wav(io.BytesIO(bytes(content))) is None

    def test_a_codec_in_which_libsndfile_cannot_seek(self) -> None:
        file = io.BytesIO()
        soundfile.write(file, SOUND[::2], 8_000, format="WAV", subtype="GSM610")
        assert len(read_audio(file)) == pytest.approx(len(SOUND), abs=500)  # whole frames
        assert len(read_audio(file, 3.0, 5.0)) == 2 * SAMPLE_RATE

    @pytest.mark.parametrize("samples", [0, 20_000, 2 * len(SOUND), (1 << 36) - 1])
    def test_flac(self, tmp_path: Path, samples: int) -> None:
        content = bytearray(unpacked(SOUND, "FLAC"))
        content[21] = content[21] & 0xF0 | samples >> 32
        content[22:26] = (samples & 0xFFFF_FFFF).to_bytes(4, "big")
        path = written(tmp_path, "a.flac", bytes(content))
        assert beep_times(listen(path).samples) == [0, 1, 2, 3, 4, 5]
        assert measure(path).seconds == SECONDS
        assert len(read_audio(path, 4.0, 5.0)) == SAMPLE_RATE
        assert not is_longer_than(path, SECONDS + 1)

    def test_mp3_without_a_count(self) -> None:
        content = packed("mp3", [SOUND], options={"write_xing": "0"})
        assert heard(content) == ([0, 1, 2, 3, 4, 5], "")
        assert "header" not in heard(content + content[: len(content) // 3])[1]

    @pytest.mark.parametrize("count", [50, 100_000])
    def test_mp3(self, tmp_path: Path, count: int) -> None:
        content = bytearray(packed("mp3", [SOUND]))
        field = max(content.find(b"Xing"), content.find(b"Info")) + 8
        content[field : field + 4] = count.to_bytes(4, "big")
        path = written(tmp_path, "a.mp3", bytes(content))
        assert beep_times(listen(path).samples) == [0, 1, 2, 3, 4, 5]
        assert measure(path).seconds == pytest.approx(SECONDS, abs=0.1)
        assert "header announces" in measure(path).notes[0]


class TestTracksAndClocks:
    @pytest.mark.parametrize("suffix", ["mkv", "mp4", "webm"])
    def test_all_tracks_are_heard(self, suffix: str) -> None:
        first, second = SOUND.copy(), SOUND.copy()
        first[3 * SAMPLE_RATE :] = 0
        second[: 3 * SAMPLE_RATE] = 0
        for tracks in ([first, second], [np.zeros_like(SOUND), SOUND]):
            times, notes = heard(packed(suffix, tracks))
            assert times == [0, 1, 2, 3, 4, 5]
            assert notes == "has 2 tracks of sound; they are mixed"

    @pytest.mark.parametrize("suffix", ["webm", "mkv", "mka", "mp4", "ts", "opus"])
    def test_a_hole_stays_where_the_clock_has_it(self, suffix: str) -> None:
        times, notes = heard(packed(suffix, [SOUND], hole=(2.0, 3.0)))
        assert times == [0, 1, 5, 6, 7, 8]
        assert "3.00 s in all" in notes

    @pytest.mark.parametrize("suffix", ["webm", "mka", "mp4"])
    def test_sound_that_begins_late(self, suffix: str) -> None:
        times, notes = heard(packed(suffix, [SOUND], starts=[2.0]))
        assert times == [2, 3, 4, 5, 6, 7]
        assert "silence at 0.00 s" in notes
        times, _ = heard(packed(suffix, [SOUND, 0 * SOUND], starts=[3.0, 0.0]))
        assert times == [3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize("where", [{"starts": [18_000.0]}, {"hole": (2.0, 18_000.0)}])
    def test_a_clock_that_jumps_by_hours_is_not_believed(self, where: dict) -> None:
        content = packed("webm", [SOUND], **where)
        assert heard(content)[0] == [0, 1, 2, 3, 4, 5]
        assert not is_longer_than(io.BytesIO(content), SECONDS + 1)

    def test_many_holes_are_no_way_around_the_limit(self) -> None:
        content = packed("webm", [SOUND], hole=(2.0, 3_000.0))
        assert is_longer_than(io.BytesIO(content), 2_000)
        assert seconds_up_to(io.BytesIO(content), 10) < 20

    def test_a_rate_that_changes_on_the_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = packed("mp3", [SOUND])
        for rate in (44_100, 24_000):
            monkeypatch.setitem(CODECS, "mp3", ("mp3", "libmp3lame", rate))
            content += packed("mp3", [SOUND])
        assert heard(content)[0] == list(range(3 * SECONDS))

    @pytest.mark.parametrize("form", ["OPUS", "VORBIS"])
    def test_joined_ogg_recordings(self, form: str) -> None:
        content = unpacked(SOUND, "OGG", form)
        both = np.column_stack([SOUND, SOUND])
        assert heard(content * 2 + unpacked(both, "OGG", form)) == (list(range(18)), "")


class TestDamage:
    def test_a_film_is_cut_if_it_has_fewer_bytes_than_it_says(self) -> None:
        content = packed("mkv", [SOUND])
        for lost in (300, len(content) // 2):
            assert is_film_cut(io.BytesIO(content[:-lost]))
        assert not is_film_cut(io.BytesIO(content))
        assert not is_film_cut(io.BytesIO(packed("webm", [SOUND], options={"live": "1"})))
        assert not is_film_cut(io.BytesIO(b"\x1a\x45\xdf\xa3"))

    @pytest.mark.parametrize("suffix", ["mp3", "aac", "webm", "mka", "opus", "flac", "m4a"])
    def test_what_is_left_is_heard_and_the_loss_is_told(self, suffix: str) -> None:
        times, notes = heard(with_zeros(packed(suffix, [SOUND])))
        assert times[:2] == [0, 1]
        assert times[-1] > 4
        assert "lost" in notes or "no sound" in notes
        if suffix not in ("mp3", "aac"):  # without a clock
            assert times[-1] == 5

    @pytest.mark.parametrize("suffix", ["mp3", "aac", "webm", "mka", "opus", "flac", "wav", "avi"])
    def test_a_file_that_was_cut_is_told(self, suffix: str) -> None:
        content = unpacked(SOUND) if suffix == "wav" else packed(suffix, [SOUND])
        times, notes = heard(content[: len(content) * 6 // 10 + 3])
        assert times[:2] == [0, 1] and times[-1] < 4
        assert "is cut" in notes

    def test_a_live_recording_is_no_cut_one(self) -> None:
        assert heard(packed("webm", [SOUND], options={"live": "1"}))[1] == ""

    def test_a_film_without_its_index_is_refused_in_a_line_that_says_so(self) -> None:
        with pytest.raises(InputError, match="was cut before its end"):
            listen(io.BytesIO(packed("m4a", [SOUND])[:-300]))

    def test_nothing_to_be_decoded(self) -> None:
        content = packed("opus", [SOUND])
        with pytest.raises(InputError, match=r"no sound that can be decoded|is not audio"):
            listen(io.BytesIO(content[:200]))

    def test_a_file_of_nothing_but_damage_is_refused_early(self) -> None:
        cluster, block = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7, b"\xa3\x85\x81\0\1\x80\x55"
        content = packed("mka", [SOUND[:8_000]], options={"live": "1"})
        content += cluster + b"\xe7\x81\x02" + block * 11_000
        with pytest.raises(InputError, match="damaged in more than 10,000 places"):
            listen(io.BytesIO(content))


class TestChannels:
    @pytest.mark.parametrize("other", [-1.0, -0.8])
    def test_channels_that_cancel_each_other(self, other: float) -> None:
        times, notes = heard(unpacked(np.column_stack([SOUND, other * SOUND])))
        assert times == [0, 1, 2, 3, 4, 5]
        assert "channel 1 alone" in notes

    def test_only_where_they_do(self) -> None:
        turned = SOUND.copy()
        turned[3 * SAMPLE_RATE :] *= -1
        times, notes = heard(unpacked(np.column_stack([SOUND, turned])))
        assert times == [0, 1, 2, 3, 4, 5]
        assert "channel 1 alone" in notes

    def test_a_side_each_is_averaged(self) -> None:
        left, right = SOUND.copy(), SOUND.copy()
        left[3 * SAMPLE_RATE :] = 0
        right[: 3 * SAMPLE_RATE] = 0
        many = np.column_stack([left, right, *np.zeros((6, len(SOUND)))])
        for channels in (np.column_stack([left, right]), many):
            sound = listen(io.BytesIO(unpacked(channels, "WAV", "FLOAT")))
            np.testing.assert_allclose(sound.samples, channels.mean(axis=1), atol=1e-6)
            assert sound.notes == ()

    def test_an_offset_larger_than_the_voice_is_taken_off(self) -> None:
        shifted = unpacked(SOUND / 2 + 0.5)
        for sound in (listen(io.BytesIO(shifted)).samples, plain_wav(io.BytesIO(shifted))):
            assert sound is not None
            np.testing.assert_allclose(sound, SOUND / 2, atol=1e-3)


def test_a_length_is_counted_once_and_kept_with_the_files_digest(tmp_path: Path) -> None:
    content = with_zeros(packed("opus", [SOUND]))
    cache = Cache(tmp_path / "cache")
    first = measure(written(tmp_path, "a.opus", content), cache)
    assert first.notes
    (kept,) = cache.root.rglob("*.json")
    kept.write_text(kept.read_text().replace(str(first.seconds), "99.0"))  # is it read again?
    assert measure(written(tmp_path, "b.opus", content), cache) == Length(99.0, first.notes)
    kept.write_text("not JSON")
    assert measure(written(tmp_path, "c.opus", content), cache) == first
    (tmp_path / "file").touch()
    elsewhere = Cache(tmp_path / "file" / "cache")  # cannot be written
    assert measure(written(tmp_path, "d.opus", content), elsewhere) == first


def test_a_file_that_changes_is_measured_again(tmp_path: Path) -> None:
    path = written(tmp_path, "a.mp3", packed("mp3", [SOUND]))
    assert measure(path).seconds == pytest.approx(SECONDS, abs=0.1)
    written(tmp_path, "a.mp3", packed("mp3", [SOUND[:32_000]]))
    assert measure(path).seconds == pytest.approx(2, abs=0.1)
