"""Ask one Triton or several from the event loop, by gRPC, with a deadline on every call."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from components.conversation import Seconds
from serving import traces
from serving.triton.errors import (
    TritonAwayError,
    TritonDeadError,
    TritonFullError,
    triton_errors,
)
from serving.triton.protocol import RECONNECT_SECONDS, WATCHED_CHANNEL, Answer, to_answer, to_inputs
from serving.triton.replicas import Replica, Replicas, addresses
from serving.triton.repository import MODEL

if TYPE_CHECKING:
    from tritonclient.grpc.aio import InferenceServerClient

MIN_ATTEMPTS = 3
"""A clip that nobody answers is sent so often, or once to each Triton if there are more Tritons. To
ask again is safe: a clip's answer is always the same."""

PAUSE_SECONDS: Seconds = 0.05
"""The longest pause before the same Triton is asked again; it doubles with each attempt."""


class TritonClient:
    """An asynchronous client; make and close it inside the event loop it is used from.

    Args:
        urls: host:port of Triton's gRPC; of several that serve the same, separated by commas.
        deadline: the longest that one clip may take, in seconds, with its wait in Triton's queue
            and further attempts.
        at_once: clips of one caller in flight together. Triton can batch so many, and one long
            recording still leaves room for others.

    Raises:
        InputError: an address is not host:port.
    """

    def __init__(self, urls: str, *, deadline: Seconds = 30.0, at_once: int = 8) -> None:
        self.deadline = deadline
        self.at_once = at_once
        self._replicas = Replicas(addresses(urls))
        self._clients: dict[str, InferenceServerClient] = {}
        self._connected_at: dict[str, Seconds] = {}

    def _client(self, url: str) -> "InferenceServerClient":
        if url not in self._clients:
            from tritonclient.grpc.aio import InferenceServerClient

            self._clients[url] = InferenceServerClient(url, channel_args=WATCHED_CHANNEL)
            self._connected_at[url] = time.monotonic()
        return self._clients[url]

    async def _renew(self, replica: Replica) -> None:
        """Replace the channel to one that is away, unless other calls still wait there."""
        old = time.monotonic() - self._connected_at[replica.url] > RECONNECT_SECONDS
        if old and not replica.in_flight and (client := self._clients.pop(replica.url, None)):
            await client.close()

    async def close(self) -> None:
        """Close the connections; using the client again opens new ones."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def drop(self, version: str) -> None:
        """Send the clips in flight again: the processes that had them were replaced."""
        for replica in self._replicas.all:
            replica.drop(version)

    async def __aenter__(self) -> "TritonClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def classify(
        self,
        audio: np.ndarray,
        input_ids: np.ndarray,
        *,
        version: str = "",
        deadline: Seconds | None = None,
    ) -> Answer:
        """The answer to one clip.

        If a Triton is away or full, another one is asked, within the deadline.

        Args:
            audio: float32 [samples], mono 16 kHz.
            input_ids: int64 [tokens], by the tokenizer of that version.
            version: of the model; empty means the highest one served.
            deadline: in seconds; None takes the client's.

        Raises:
            TritonLateError: the deadline passed.
            TritonFullError: the queues of all are full.
            TritonGoneError: none serves that version.
            TritonAwayError: nobody is there.
            TritonError: the model failed.
        """
        now = asyncio.get_running_loop().time
        seconds = self.deadline if deadline is None else deadline
        until = now() + seconds
        inputs = to_inputs(audio, input_ids)
        max_attempts = max(MIN_ATTEMPTS, len(self._replicas.all))
        tried: list[Replica] = []
        full: TritonFullError | None = None
        while True:
            replica = self._replicas.choose(version, now(), tried)
            try:
                return await self._ask(replica, inputs, version, until - now())
            except (TritonAwayError, TritonFullError) as error:
                if isinstance(error, TritonFullError):
                    full = error
                else:
                    replica.failed(version, now())
                    await self._renew(replica)
                if isinstance(error, TritonDeadError):
                    replica.drop(version)
                tried.append(replica)
                all_tried = len(set(tried)) == len(self._replicas.all)
                pause = PAUSE_SECONDS * 2 ** len(tried) * random.random() if all_tried else 0.0
                # Callers learn of a full queue at once, even if other Tritons are away.
                if (full and all_tried) or len(tried) >= max_attempts or now() + pause >= until:
                    raise full or error from None
                await asyncio.sleep(pause)

    async def _ask(
        self, replica: Replica, inputs: list[Any], version: str, seconds: Seconds
    ) -> Answer:
        with triton_errors(seconds), traces.call("triton.infer") as headers:
            call = self._client(replica.url).infer(
                MODEL,
                inputs,
                model_version=version,
                client_timeout=seconds,
                timeout=round(seconds * 1e6),  # Triton drops it from the queue then, unanswered
                headers=headers,
            )
            answer = to_answer(await replica.result_of(version, call))
        replica.answered(version)
        return answer

    async def classify_all(
        self, clips: Sequence[tuple[np.ndarray, np.ndarray]], *, version: str = ""
    ) -> list[Answer]:
        """The answers to many clips, each as `classify` takes it, in their order; the first failure
        ends the rest.

        Raises:
            TritonError: as `classify`.
        """
        if len(clips) == 1:
            return [await self.classify(*clips[0], version=version)]
        in_flight = asyncio.Semaphore(self.at_once)

        async def ask(audio: np.ndarray, input_ids: np.ndarray) -> Answer:
            async with in_flight:
                return await self.classify(audio, input_ids, version=version)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(audio, ids)) for audio, ids in clips]
        except ExceptionGroup as failures:
            # The first stands for all; raised within `except*` it would come out as a group.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]
