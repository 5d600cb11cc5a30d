"""Ask Triton from the event loop: gRPC, with a deadline on every call."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from serving import traces
from serving.triton.export import MODEL
from serving.triton.tensors import Answer, to_answer, to_inputs

if TYPE_CHECKING:
    from tritonclient.grpc.aio import InferenceServerClient

# After Triton comes back the channel must find it at once, not after gRPC's two minutes.
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
AWAY = ("StatusCode.UNAVAILABLE", "StatusCode.CANCELLED")
LATE = ("StatusCode.DEADLINE_EXCEEDED",)


class TritonError(RuntimeError):
    """Triton did not answer, or not with an answer."""


class TritonLateError(TritonError):
    """The deadline passed before Triton answered."""


class TritonClient:
    """An asynchronous client; make and close it inside the event loop it is used from.

    Args:
        url: host:port of Triton's gRPC.
        deadline: the longest that one clip may take, in seconds, its wait in Triton's queue
            included.
        at_once: clips of one caller that are under way together, so that Triton can batch them
            and one long recording still leaves room for others.
    """

    def __init__(self, url: str, *, deadline: float = 30.0, at_once: int = 8) -> None:
        self.url = url
        self.deadline = deadline
        self.at_once = at_once
        self._client: InferenceServerClient | None = None

    def _connected(self) -> "InferenceServerClient":
        if self._client is None:
            from tritonclient.grpc.aio import InferenceServerClient

            self._client = InferenceServerClient(self.url, channel_args=CHANNEL)
        return self._client

    async def close(self) -> None:
        """Close the connection; using the client again opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def __aenter__(self) -> "TritonClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def classify(
        self,
        audio: np.ndarray,
        input_ids: np.ndarray,
        *,
        version: str = "",
        deadline: float | None = None,
    ) -> Answer:
        """The answer to one clip.

        Args:
            audio: float32 [samples], mono 16 kHz.
            input_ids: int64 [tokens], by the tokenizer of that version.
            version: of the model; empty means the highest one served.
            deadline: in seconds; None takes the client's.

        Raises:
            TritonLateError: the deadline passed.
            TritonError: Triton is away, or the model failed.
        """
        from tritonclient.utils import InferenceServerException

        seconds = self.deadline if deadline is None else deadline
        try:
            with traces.call("triton.infer") as headers:
                result = await self._connected().infer(
                    MODEL,
                    to_inputs(audio, input_ids),
                    model_version=version,
                    client_timeout=seconds,
                    timeout=round(seconds * 1e6),  # Triton drops it from the queue then, unanswered
                    headers=headers,
                )
            return to_answer(result)
        except InferenceServerException as error:
            if error.status() in LATE:
                raise TritonLateError(f"no answer within {seconds:g} s") from error
            state = "is away" if error.status() in AWAY else "failed"
            raise TritonError(f"the model server {state}: {error.message()}") from error
        except ValueError as error:
            raise TritonError(str(error)) from error

    async def classify_all(
        self,
        clips: Sequence[tuple[np.ndarray, np.ndarray]],
        *,
        version: str = "",
        deadline: float | None = None,
    ) -> list[Answer]:
        """The answers to many clips, in their order; the first failure ends the rest.

        Args:
            clips: each with its audio and its token ids, as `classify` takes them.
            deadline: for each clip once it is sent.

        Raises:
            TritonError: as `classify`.
        """
        room = asyncio.Semaphore(self.at_once)

        async def ask(audio: np.ndarray, input_ids: np.ndarray) -> Answer:
            async with room:
                return await self.classify(audio, input_ids, version=version, deadline=deadline)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(audio, ids)) for audio, ids in clips]
        except ExceptionGroup as failures:
            # The first stands for all; raised within `except*` it would come out as a group.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]
