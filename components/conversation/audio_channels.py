"""The channels of a recording that has one for each speaker, each by itself.

A call centre records the agent on one channel and the caller on the other. Some of the one's voice
is heard on the other's: crosstalk.
"""

import numpy as np

from components.base.errors import InputError
from components.conversation.audio import Source, decoded, name_of
from components.conversation.audio_blocks import SAMPLE_RATE, gathered, seconds
from components.conversation.audio_downmix import Mix
from components.conversation.crosstalk import mute_crosstalk
from components.conversation.types import Seconds

MAX_CHANNELS = 8
"""More are no recording of a speaker on each."""

MAX_SECONDS: Seconds = 8 * 3600
"""Of all channels together: as much is held in memory (0.9 GB)."""

SAME = 0.98
"""Channels more alike than this (correlation) carry the same sound."""

BLOCK = 60 * SAMPLE_RATE


def channel_speaker(channel: int) -> str:
    """What the speaker of a channel is called; channels count from 0 here, and from 1 in names.

    >>> channel_speaker(0)
    'CHANNEL_1'
    """
    return f"CHANNEL_{channel + 1}"


def check_channels(source: Source, name: str = "") -> None:
    """Refuse a recording that has no channel for each speaker; its first second tells.

    Raises:
        InputError: as `read_audio`; or there is one channel, or too many.
    """
    mix = Mix()
    decoded(source, seconds, [], 0.0, 1.0, mix)
    if mix.channels < 2:
        raise InputError(
            f"{name or name_of(source)}: has one channel; speakers are told apart by channels only"
            " where each has one"
        )
    if mix.channels > MAX_CHANNELS:
        raise InputError(
            f"{name or name_of(source)}: has {mix.channels} channels; at most {MAX_CHANNELS}"
            " speakers are told apart by channels"
        )


def read_channels(source: Source, name: str = "") -> np.ndarray:
    """Read each channel by itself, without crosstalk.

    The file is read once for each channel. Samples are of half precision, so that two channels take
    as much memory as one that `read_audio` returns.

    Args:
        source: as `read_audio` takes it.
        name: of the recording, in messages; by default its path's.

    Returns:
        float16 of shape [channels, samples] at `SAMPLE_RATE`. Where a channel has only crosstalk,
        see `mute_crosstalk`, it is 0.

    Raises:
        InputError: as `read_audio`; or there is one channel, too many of them, or the same sound in
            all.
    """
    check_channels(source, name)
    name, mix = name or name_of(source), Mix(0)
    first = decoded(source, gathered, [], mix=mix).astype(np.float16)
    if mix.channels * len(first) > MAX_SECONDS * SAMPLE_RATE:
        raise InputError(
            f"{name}: has {mix.channels} channels of more than {MAX_SECONDS / 3600:g} hours"
            " together; send it in parts"
        )
    channels = np.zeros((mix.channels, len(first)), np.float16)
    channels[0] = first
    for number in range(1, mix.channels):
        channels[number] = decoded(source, gathered, [], mix=Mix(number))
    if _is_one_sound(channels):
        raise InputError(
            f"{name}: has the same sound in all {mix.channels} channels; speakers are told apart by"
            " channels only where each has one"
        )
    mute_crosstalk(channels)
    return channels


def _is_one_sound(channels: np.ndarray) -> bool:
    """Whether all channels are copies of one; silent ones are not."""
    products = np.zeros((len(channels), len(channels)))
    for first in range(0, channels.shape[1], BLOCK):
        block = channels[:, first : first + BLOCK].astype(np.float32)
        products += block @ block.T
    powers = products.diagonal()
    if powers.min() <= 0:
        return False
    alike = products / np.sqrt(np.outer(powers, powers))
    return bool(alike.min() > SAME and powers.max() < 2 * powers.min())
