"""Sound of many channels: film sound, and what damage makes of a header.

PyAV 18 reads memory that is not the frame's where a frame has eight channels or more, each by
itself; `make fuzz` crashed on it.
"""

import io

import av
import numpy as np
import pytest

from components.conversation import listen

RATE = 48_000


def surround(codec: str, form: str, layout: str, channels: int) -> bytes:
    """A second of one tone on every channel."""
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) * 0.3
    frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels)[None], "flt", layout)
    frame.sample_rate = RATE
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(
    ("codec", "form", "layout", "channels"),
    [
        ("aac", "mp4", "5.1", 6),
        ("aac", "mp4", "7.1", 8),
        ("libopus", "matroska", "7.1", 8),
    ],
)
def test_every_channel_is_heard(codec: str, form: str, layout: str, channels: int) -> None:
    sound = listen(io.BytesIO(surround(codec, form, layout, channels)))
    assert len(sound.samples) / 16_000 == pytest.approx(1.0, abs=0.05)
    assert np.abs(sound.samples).max() == pytest.approx(0.3, abs=0.05)
