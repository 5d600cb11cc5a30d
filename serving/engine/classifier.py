"""The emotion model as the service sees it: clips in, answers of a served version out."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Sequence

import numpy as np

from components.base import InputError
from components.config import Settings
from components.conversation import SAMPLE_RATE, Seconds
from components.fusion import Clip, average_windows, clip_windows
from serving import metrics
from serving.engine.canary import Canary
from serving.engine.classified import Classified
from serving.engine.shadow import Shadow
from serving.errors import LateError, NotReadyError
from serving.lineup import ROLES, CurrentLineup, Lineup, Loaded, halt_path
from serving.settings import ServeSettings, TrafficSettings
from serving.threads import WINDOWS
from serving.triton.client import TritonClient
from serving.triton.errors import TritonError, TritonFullError, TritonGoneError, TritonLateError

logger = logging.getLogger(__name__)

MAX_LOOP_CHARACTERS = 5_000
"""Clips with up to so many characters are cut into windows in the event loop, within ten
milliseconds or so; more are cut in a thread."""

PROBE_SECONDS: Seconds = 1.0
"""How long the result of a good probe holds."""

PROBE_DEADLINE: Seconds = 5.0
"""The longest that a probe waits for its answer."""

ANSWERED_SECONDS: Seconds = 5.0
"""A probe without an answer in time is good, too, where a request was answered so lately."""

FOLLOW_SECONDS: Seconds = 1.0
"""How often to look at the pointer while no request does."""


class ServedClassifier:
    """Asks Triton for the served versions' answers; use it from one event loop.

    Production answers, or for a share of the requests the version in staging. The candidate may be
    asked, too, without the caller's notice. See `TrafficSettings`.
    """

    def __init__(
        self, settings: Settings, serve: ServeSettings, traffic: TrafficSettings | None = None
    ) -> None:
        traffic = traffic or TrafficSettings()
        self._current = CurrentLineup(serve.pointer, serve.profile)
        self._lineup: Lineup[Loaded] | None = None
        self._client = TritonClient(settings.triton_url, deadline=serve.clip_deadline)
        self._canary = Canary(traffic, halt_path(serve.pointer))
        self._shadow = Shadow(self._ask_candidate, traffic)
        self._probe_lock = asyncio.Lock()
        self._probed = 0.0
        self._answered = 0.0
        self._following: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections to Triton."""
        if self._following:
            self._following.cancel()
        await self._shadow.close()
        await self._client.close()

    def model(self) -> Loaded:
        """The version in production.

        Raises:
            NotReadyError: none is served.
        """
        return self._served().production

    async def classify(
        self, clips: Sequence[Clip], *, deadline: Seconds | None = None, request_id: str = ""
    ) -> Classified:
        """The emotions of clips of any lengths, all by one version.

        A clip that is too long for the model is cut into windows, and their answers are averaged.

        Args:
            clips: waveform, float32 [samples] mono at 16 kHz, and words.
            deadline: seconds from now until all must be answered; None: there is only each
                window's own, `clip_deadline` once it is sent.
            request_id: decides which version answers; if empty, chance decides.

        Raises:
            InputError: a clip is no sound.
            NotReadyError: no version is served, or Triton does not answer.
            BusyError: as many clips wait for Triton as may.
            LateError: the deadline passed.
        """
        self._start_following()
        request_id = request_id or uuid.uuid4().hex
        until = None if deadline is None else time.monotonic() + deadline
        lineup = self._served()
        try:
            staging = lineup.staging
            if staging and self._canary.answers(staging.version, request_id):
                answered = await self._by_canary(staging, clips, until)
            else:
                answered = await self._by_production(clips, until)
        except TritonError as error:
            metrics.TRITON_FAILURES.labels(error.kind).inc()
            raise
        except TimeoutError as error:  # the request's own deadline was short
            raise LateError(TritonLateError.answer) from error
        if lineup.candidate and clips:
            self._shadow.follow(lineup.candidate, clips, answered, request_id)
        return answered

    async def _by_production(self, clips: Sequence[Clip], until: Seconds | None) -> Classified:
        began = time.monotonic()
        model = self._served().production
        while True:
            try:
                answered = await self._ask(model, clips, "production", until)
                if clips:
                    self._answered = time.monotonic()
                self._canary.production_answered(time.monotonic() - began)
                return answered
            except TritonGoneError:
                # Another version took over while the clips were on their way.
                before, model = model, self._served().production
                if model is before:
                    raise

    async def _by_canary(
        self, staging: Loaded, clips: Sequence[Clip], until: Seconds | None
    ) -> Classified:
        """Ask the version in staging. If it fails, production still has time to answer."""
        began = time.monotonic()
        half = None if until is None else (began + until) / 2
        try:
            answered = await self._ask(staging, clips, "staging", half)
        except TimeoutError:
            # Half of a deadline that the sender chose; it says nothing but that it took longer.
            answered = await self._by_production(clips, until)
            self._canary.canary_late(staging.version, (half or began) - began)
            return answered
        except TritonError as error:
            logger.warning("the canary, version %d, failed: %s", staging.version, error)
            answered = await self._by_production(clips, until)
            # Counted only now: if production fails, too, it is not the canary's fault.
            self._canary.canary_answered(staging.version, None)
            return answered
        self._canary.canary_answered(staging.version, time.monotonic() - began)
        return answered

    async def _ask(
        self, model: Loaded, clips: Sequence[Clip], role: str, until: Seconds | None
    ) -> Classified:
        """One version's answers.

        Raises:
            TritonError: as `TritonClient.classify`.
            TimeoutError: `until` passed.
        """
        began = time.monotonic()
        cut = (clips, model.tokenizer, model.max_samples, model.max_tokens)
        # The turns of hours would hold up the event loop; a few are not worth a thread.
        few = sum(len(text) for _, text in clips) <= MAX_LOOP_CHARACTERS
        windows = clip_windows(*cut) if few else await WINDOWS.run(clip_windows, *cut)
        async with asyncio.timeout(None if until is None else until - began):
            inputs = [(window.audio, np.array(window.input_ids)) for window in windows]
            answers = await self._client.classify_all(inputs, version=str(model.version))
        metrics.MODEL_SECONDS.labels(role).observe(time.monotonic() - began)
        rows = [np.concatenate([answer.probabilities, answer.embedding]) for answer in answers]
        count = len(model.labels)
        table = np.stack(rows) if rows else np.zeros((0, count))
        whole = average_windows(windows, table, len(clips))
        probabilities, embeddings = whole[:, :count], whole[:, count:]
        about = (model.version, model.labels, role, model.speech, model.uncertain_below)
        return Classified(probabilities, embeddings, *about)

    async def _ask_candidate(self, model: Loaded, clips: Sequence[Clip]) -> Classified:
        return await self._ask(model, clips, "candidate", None)

    async def ready(self) -> bool:
        """Whether Triton answers a real question, put at most once a second.

        A Triton that is only busy is ready, for otherwise its load would fall on the others.
        """
        async with self._probe_lock:
            if time.monotonic() - self._probed < PROBE_SECONDS:
                return True
            try:
                model = self._served().production
                clip = np.zeros(SAMPLE_RATE, np.float32), model.tokenizer.encode("hello").ids
                answer = await self._client.classify(
                    clip[0], np.array(clip[1]), version=str(model.version), deadline=PROBE_DEADLINE
                )
            except TritonFullError:
                return True
            except NotReadyError as error:
                lately = time.monotonic() - self._answered < ANSWERED_SECONDS
                if lately and isinstance(error, TritonLateError):
                    return True
                logger.warning("not ready: %s", error)
                return False
            if not abs(float(answer.probabilities.sum()) - 1) < 1e-2:
                logger.warning("not ready: the model's answers are no probabilities")
                return False
            self._probed = time.monotonic()
            return True

    def _start_following(self) -> None:
        """Look at the pointer from time to time, so that requests that wait notice a change."""

        async def follow() -> None:
            while True:
                await asyncio.sleep(FOLLOW_SECONDS)
                with contextlib.suppress(NotReadyError):
                    self._served()

        if self._following is None:
            self._following = asyncio.create_task(follow())

    def _served(self) -> Lineup[Loaded]:
        try:
            lineup = self._current.get()
        except InputError as error:
            raise NotReadyError(str(error)) from error
        if lineup is not self._lineup:
            _export_metrics(lineup, self._lineup)
            if self._lineup and lineup.revivals != self._lineup.revivals:
                # The requests of a process that died are lost, and Triton may never say so.
                self._client.drop(str(lineup.production.version))
            self._lineup = lineup
        return lineup


def _export_metrics(lineup: Lineup[Loaded], before: Lineup[Loaded] | None) -> None:
    """Tell Prometheus which versions are served, and which not."""
    for role in ROLES:
        model = lineup.roles.get(role)
        metrics.SERVED.labels(role).set(model.version if model else 0)
    for version in {*lineup.refused, *(before.refused if before else ())}:
        metrics.REFUSED.labels(version).set(version in lineup.refused)
    metrics.REVIVALS.set(lineup.revivals)
