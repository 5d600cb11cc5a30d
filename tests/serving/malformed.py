"""Uploads that are wrong in one way or another, from a seed."""

import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
import soundfile

Dice = np.random.Generator
Kind = Callable[[Dice], bytes]


def uploads(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many of them, each with the kind of its fault; all kinds are as frequent."""
    dice = np.random.default_rng(seed)
    kinds = list(KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield kind, KINDS[kind](dice)


def encoded(samples: np.ndarray, form: str = "WAV", rate: int = 16_000, **options: str) -> bytes:
    """Samples as a file of that form."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, **options)
    return file.getvalue()


def riff(
    *,
    form: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    size: int | None = None,
    data: bytes = bytes(64),
) -> bytes:
    """A WAV file whose header says whatever it is told to."""
    align = max(channels * bits // 8, 1) % 65_536
    head = struct.pack("<HHIIHH", form, channels, rate, rate * align % 2**32, align, bits)
    told = len(data) if size is None else size
    return (
        b"RIFF" + struct.pack("<I", (36 + told) % 2**32) + b"WAVEfmt \x10\0\0\0" + head
        + b"data" + struct.pack("<I", told % 2**32) + data
    )  # fmt: skip


def _tone(dice: Dice) -> np.ndarray:
    return 0.1 * np.sin(np.arange(int(dice.integers(400, 4_000))) / 9)


def _form(dice: Dice) -> str:
    return str(dice.choice(["WAV", "FLAC", "OGG", "AIFF", "W64", "CAF"]))


def _truncated(dice: Dice) -> bytes:
    whole = encoded(_tone(dice), _form(dice))
    return whole[: int(dice.integers(1, len(whole)))]


def _flipped(dice: Dice) -> bytes:
    whole = bytearray(encoded(_tone(dice), _form(dice)))
    for place in dice.integers(0, min(len(whole), 200), size=8):
        whole[place] = int(dice.integers(256))
    return bytes(whole)


def _magic(dice: Dice) -> bytes:
    """What announces itself as something and is noise."""
    starts = [
        b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb\x90", b"\x1aE\xdf\xa3", b"\0\0\0\x20ftypM4A ",
        b"RIFF", b"FORM", b"#!AMR\n", b"MThd", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7", b"PK\x03\x04",
        b"\x1f\x8b\x08", b"caff", b"<svg>", b"#EXTM3U\nhttp://127.0.0.1:1/x\n",
        b"ffconcat version 1.0\nfile service.log\n",
    ]  # fmt: skip
    return starts[int(dice.integers(len(starts)))] + dice.bytes(int(dice.integers(1, 3_000)))


def _numbers(dice: Dice) -> bytes:
    samples = _tone(dice)
    samples[dice.integers(0, len(samples), size=3)] = dice.choice([np.nan, np.inf, -np.inf])
    return encoded(samples, subtype="FLOAT")


def _header(dice: Dice) -> bytes:
    """A header with a number that is too large, too small, or simply wrong."""
    wrong = [
        {"channels": 0}, {"channels": 65_535}, {"channels": 64, "data": bytes(1_280)},
        {"rate": 0}, {"rate": 2**32 - 1}, {"rate": 1}, {"bits": 0}, {"bits": 65_535}, {"bits": 24},
        {"form": 0}, {"form": 65_534}, {"form": 85}, {"size": 2**32 - 1}, {"size": 2**31},
        {"size": 0}, {"data": b"\0"},
    ]  # fmt: skip
    return riff(**wrong[int(dice.integers(len(wrong)))])


def _bomb(dice: Dice) -> bytes:
    """Minutes of silence in a few kilobytes, in many channels at a high rate."""
    channels, rate = int(dice.integers(2, 9)), int(dice.choice([48_000, 96_000, 192_000]))
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, format="FLAC") as sound:
        second = np.zeros((rate, channels), np.int16)
        for _ in range(int(dice.integers(8, 16))):
            sound.write(second)
    return file.getvalue()


def _huge_metadata(dice: Dice) -> bytes:
    """A FLAC whose first block claims megabytes of comments, or an ID3 tag of that size."""
    if dice.integers(2):
        return b"fLaC\x04" + (2**24 - 1).to_bytes(3, "big") + dice.bytes(500)
    return b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + dice.bytes(500)


def _odd(dice: Dice) -> bytes:
    """Sound, strictly: one sample, none, 64 channels, one bit of anything."""
    odd = [
        lambda: encoded(np.zeros(1)),
        lambda: encoded(np.zeros(0)),
        lambda: encoded(np.zeros((20, 64))),
        lambda: encoded(_tone(dice), rate=1_000),
        lambda: encoded(np.full(500, 1e30), subtype="DOUBLE"),
        lambda: b"\0",
    ]
    return odd[int(dice.integers(len(odd)))]()


def _noise(dice: Dice) -> bytes:
    return dice.bytes(int(dice.integers(1, 4_000)))


KINDS: dict[str, Kind] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "wrong type": _magic,
    "not numbers": _numbers,
    "header": _header,
    "bomb": _bomb,
    "metadata": _huge_metadata,
    "odd": _odd,
    "noise": _noise,
    "text": lambda dice: b"hello " * int(dice.integers(1, 500)),
}
