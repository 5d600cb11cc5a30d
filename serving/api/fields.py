"""The fields and headers that requests on recordings and clips share; `/docs` is made from them."""

from typing import Annotated, Literal

from fastapi import File, Form, Header, UploadFile

from components.config import Pause
from components.conversation import MAX_SPEAKERS
from components.conversation.subtitles import MAX_LINES, MAX_WIDTH, MIN_WIDTH
from serving.api.schema import PAUSE, Printable, Text

MAX_HINT_LENGTH = 1_000
"""Characters; how many tokens these are, the recogniser counts."""

Audio = Annotated[UploadFile, File(description="WAV, FLAC, Ogg, MP3, M4A or WebM.")]
Clips = Annotated[
    list[UploadFile],
    File(description="The sound of each turn; WAV, 16 kHz mono, is the quickest."),
]
Texts = Annotated[
    list[Text], Form(description="The words of each turn, in the same order; may be empty.")
]
NumSpeakers = Annotated[
    int | None, Form(ge=1, le=MAX_SPEAKERS, description="How many speak, if known.")
]
MinSpeakers = Annotated[
    int | None, Form(ge=1, le=MAX_SPEAKERS, description="At least so many speak.")
]
MaxSpeakers = Annotated[
    int | None, Form(ge=1, le=MAX_SPEAKERS, description="At most so many speak.")
]
MaxPause = Annotated[
    Pause | None,
    Form(description=f"{PAUSE} Default: the version's, as a rule 1.5."),
]
Words = Annotated[
    bool, Form(description="Give the words too, each with its times and its speaker (JSON only).")
]
Unaligned = Annotated[
    bool,
    Form(
        description="Give the turns without alignment too: each recognised segment, whole, to the"
        " speaker who overlaps it most (JSON only)."
    ),
]
Waveform = Annotated[
    bool, Form(description="Give the outline of the sound too, to be drawn (JSON only).")
]
Language = Annotated[
    str | None,
    Form(
        pattern="^(auto|[a-z]{2,3})$",
        description="Its code (`de`), or `auto`: it is heard. Default: the version's.",
    ),
]
Channels = Annotated[
    bool,
    Form(
        description="Each channel is a speaker, as in a call centre's recordings: nobody is told by"
        " the voice. A recording of one channel is refused."
    ),
]
Hotwords = Annotated[
    Printable,
    Form(
        max_length=MAX_HINT_LENGTH,
        description="Names and terms that may be said, as they are written; 100 tokens at most.",
    ),
]
Prompt = Annotated[
    Printable,
    Form(
        max_length=MAX_HINT_LENGTH,
        description="Text that might have stood before: its spelling and style are taken up; 100"
        " tokens at most.",
    ),
]
Format = Annotated[
    Literal["json", "rttm", "vtt", "srt"] | None,
    Form(description="Of the answer; in place of the header `Accept`."),
]
LineLength = Annotated[
    int, Form(ge=MIN_WIDTH, le=MAX_WIDTH, description="Characters in a line of subtitles.")
]
MaxLines = Annotated[int, Form(ge=1, le=MAX_LINES, description="Lines in a subtitle.")]
Deadline = Annotated[
    float | None,
    Header(gt=0, le=86_400, description="Seconds you will wait; then 504, and the work ends."),
]
Accept = Annotated[str | None, Header(alias="accept", include_in_schema=False)]
