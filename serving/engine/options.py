"""What a caller may ask of one recording."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.align import Auto
from components.base import InputError
from components.config import check_speaker_counts
from components.conversation import Seconds

if TYPE_CHECKING:
    from components.transcribe import Hints


@dataclass(frozen=True, slots=True)
class Options:
    """The caller's options for one recording.

    Attributes:
        session_id: the recording's name.
        num_speakers: how many speak, if known.
        max_pause: a longer pause begins a new turn, in seconds; "auto" takes what is usual in the
            recording; None takes the profile's.
        words: give the words too, each with its speaker.
        unaligned: give the turns without alignment too, the paper's baseline.
        waveform: give the outline of the sound too.
        language: its code, or "auto"; None takes the profile's.
        channels: each channel is a speaker, whatever the profile says.
        min_speakers, max_speakers: how many speak, if that is known within limits.
        hotwords: names and terms that may be said, in the language's own spelling.
        prompt: text that might have stood before; its spelling and style are taken up.
        known: the names of speakers of whose voices samples come with the recording.
        kept: the names of speakers whose voice prints are kept, see `serving.voices`.

    Raises:
        InputError: the options contradict each other.
    """

    session_id: str
    num_speakers: int | None = None
    max_pause: Seconds | Auto | None = None
    words: bool = False
    language: str | None = None
    channels: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None
    hotwords: str = ""
    prompt: str = ""
    known: tuple[str, ...] = ()
    unaligned: bool = False
    waveform: bool = False
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = self.num_speakers, self.min_speakers, self.max_speakers
        try:
            check_speaker_counts(*counts)
        except ValueError as error:
            raise InputError(str(error)) from None
        if self.channels and counts != (None, None, None):
            raise InputError("channels: each is a speaker; leave out how many speak")
        if self.channels and self.named:
            raise InputError("channels: each is a speaker; leave out samples of voices")
        for name in self.kept:
            if self.named.count(name) > 1:
                raise InputError(f"speaker {name}: is asked for twice")

    @property
    def named(self) -> tuple[str, ...]:
        """The names of all speakers who may be known by their voices."""
        return (*self.known, *self.kept)

    @property
    def hints(self) -> "Hints":
        """What the recogniser is told."""
        from components.transcribe import Hints

        return Hints(self.hotwords, self.prompt)
