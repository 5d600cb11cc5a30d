"""The first frame of a connection to `/v1/live`: what is wanted, and by whom."""

import asyncio
from typing import Annotated, Literal

from fastapi import WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.config import Pause
from components.conversation import MAX_SPEAKERS, Seconds
from serving.api.fields import MAX_HINT_LENGTH
from serving.api.limits import known_sender
from serving.api.origin import foreign_page
from serving.api.schema import Printable
from serving.engine.scheduling import Sender

START_SECONDS: Seconds = 10.0
"""So soon a connection must say what it wants."""


class StartIn(BaseModel):
    """The first frame."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"]
    key: str = Field("", max_length=1000, repr=False)
    name: Printable = Field("", max_length=1000)
    id: str = Field("", max_length=64)
    seen: int = Field(0, ge=0)
    language: Annotated[str, Field(pattern="^(auto|[a-z]{2,3})$")] | None = None
    max_pause: Pause | None = None
    num_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    min_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    max_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)
    hotwords: Printable = Field("", max_length=MAX_HINT_LENGTH)
    prompt: Printable = Field("", max_length=MAX_HINT_LENGTH)
    words: bool = False
    unaligned: bool = False
    waveform: bool = False


class LiveError(Exception):
    """What a connection is closed for, and the HTTP status that says the same; with a call's id, if
    it may go on."""

    def __init__(self, status: int, detail: str, id: str = "") -> None:
        super().__init__(detail)
        self.status, self.id = status, id


async def greeted(socket: WebSocket) -> tuple[StartIn, Sender]:
    """The first frame, and who sent it.

    Raises:
        LiveError: it is none, or from another site's page, or its key is not known.
    """
    try:
        text = await asyncio.wait_for(socket.receive_text(), START_SECONDS)
        start = StartIn.model_validate_json(text)
    except TimeoutError:
        raise LiveError(408, 'send a first frame within ten seconds: {"type": "start"}') from None
    except KeyError:
        raise LiveError(422, 'the first frame is text: {"type": "start"}') from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        what = f"the field “{field[:100]}” of the first frame" if field else "the first frame"
        raise LiveError(422, f"{what} is wrong: {first['msg']}") from None
    state, scope = socket.app.state, socket.scope
    if fault := foreign_page(scope, keyed=state.keys is not None):
        raise LiveError(403, fault)
    given = f"Bearer {start.key}" if start.key else socket.headers.get("authorization", "")
    known = await known_sender(state, given)
    if not isinstance(known, Sender):
        way = ", or as “key” in the first frame" if known.status == 401 else ""
        raise LiveError(known.status, known.detail + way)
    return start, known
