"""A recording becomes turns with emotions: the verbs put together.

    audio ─┬─ transcribe ─ words ────────┐
           └─ diarize ── speaker segments ┴─ align ─ turns ─ classify ─ turns with emotions

The command line and the service share this. The command line runs the emotion model itself, the
service asks Triton.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from components.align import (
    align,
    align_baseline,
    align_channels,
    flatten,
    words_with_speakers,
)
from components.base import NATIVE_THREADS, spent_on
from components.config import Settings, TurnsStep
from components.conversation import (
    SAMPLE_RATE,
    AsrSegment,
    channel_speaker,
    mark_uncertain,
)
from serving import traces
from serving.engine.analysis import Analysis, Classify
from serving.engine.memory import return_freed_memory
from serving.engine.notes import foreign_notes, words_without_times
from serving.engine.options import Options
from serving.engine.side_by_side import Report, Step, side_by_side

if TYPE_CHECKING:
    from components.diarize import ChannelDiarizer, Diarization, Diarizer, RunningSpeakers
    from components.transcribe import Transcriber

APART = (
    "has channels that hardly sound together, as where each has its own speaker: ask for them"
    " (channels=true, --channels) to have nobody taken for another"
)
"""What is said of a recording whose channels nobody asked for."""


def _begins(report: Report, _: float) -> None:
    report("transcribe", 0.0)


class Analyzer:
    """The speech models, loaded once, and their results joined.

    Several threads may use it, but only one at a time; they may take turns at each step. Without
    `classify` the turns have no emotions; those less sure than `uncertain_below` are marked.

    Args:
        text_languages: those that the text encoder knows; a recording in another one gets a note.
            Empty: not known.
    """

    def __init__(
        self,
        profile: TurnsStep,
        settings: Settings,
        classify: Classify | None = None,
        uncertain_below: float = 0.0,
        *,
        text_languages: Sequence[str] = (),
    ) -> None:
        self.profile = profile
        self.text_languages = text_languages
        self.settings = settings
        self.classify = classify
        self.uncertain_below = uncertain_below
        self._transcriber: Transcriber | None = None
        self._diarizer: Diarizer | None = None
        self._by_channel: ChannelDiarizer | None = None

    def load(self) -> None:
        """Load the speech models now rather than at first use (half a minute).

        Raises:
            InputError: a model is not there.
        """
        return_freed_memory()
        if self._transcriber is None:
            from components.transcribe import Transcriber

            self._transcriber = Transcriber(self.profile.transcribe, self.settings)
        if self._diarizer is None and not self.profile.by_channel:
            from components.diarize import Diarizer

            self._diarizer = Diarizer(self.profile.diarize, self.settings)

    def wants_channels(self, options: Options) -> bool:
        """Whether a recording is to be heard channel by channel.

        Raises:
            InputError: the number of speakers is asked for, and the channels are the speakers.
        """
        return replace(options, channels=options.channels or self.profile.by_channel).channels

    def find_turns(
        self,
        audio: np.ndarray,
        options: Options,
        report_progress: Report | None = None,
        *,
        channels: np.ndarray | None = None,
        samples: Mapping[str, np.ndarray] | None = None,
        voices: Mapping[str, np.ndarray] | None = None,
        running: "RunningSpeakers | None" = None,
    ) -> Analysis:
        """Who said what and when, without emotions.

        Args:
            audio: float32 [samples], mono 16 kHz; any length, none too.
            options: the caller's.
            report_progress: called with the progress of each stage; what it raises ends the work.
            channels: as `components.conversation.read_channels` returns them: each is a speaker.
            samples: of voices by their names, as `audio`: a speaker who sounds like one gets that
                name. What is made of them is kept no longer than this call.
            voices: likewise, as `voice_prints` returns them.
            running: the speakers of the conversation of which `audio` is the next stretch: its
                voices get their names.

        Raises:
            InputError: the recogniser does not know the language asked for; or a sample is no
                voice's, or of two.
        """
        if not len(audio):
            return Analysis(0.0, (), ())
        self.load()
        if channels is not None:
            return self._turns_of_channels(audio, channels, options, report_progress)
        assert self._transcriber is not None
        assert self._diarizer is not None
        prints = self.voice_prints(samples or {}, report_progress)  # a wrong one is refused early
        prints |= voices or {}
        transcriber, diarizer = self._transcriber, self._diarizer
        segmented = None
        if self.profile.transcribe.speech == self.profile.diarize.pipeline:
            segmented = diarizer.segment(
                audio, report_progress and partial(_begins, report_progress)
            )

        def transcribe(step: Step) -> tuple[str, list[AsrSegment]]:
            with traces.stage("transcribe"):
                spoken = transcriber.language_of(audio, options.language)
                return spoken, transcriber.transcribe(
                    audio,
                    language=spoken,
                    hints=options.hints,
                    speech=segmented and segmented.speech,
                    step=step,
                )

        def diarize(step: Step) -> "Diarization":
            with traces.stage("diarize"):
                return diarizer.diarize(
                    audio,
                    options.num_speakers,
                    segmented=segmented,
                    min_speakers=options.min_speakers,
                    max_speakers=options.max_speakers,
                    step=step,
                )

        (language, segments), diarization = side_by_side(
            ("transcribe", transcribe), ("diarize", diarize), report_progress
        )
        with traces.stage("align"):
            step = report_progress and partial(report_progress, "diarize")
            with spent_on("hear_sentences"):
                if running is not None:
                    nearly = step and (lambda _: step(1.0))
                    diarization = running.hear(diarizer, audio, diarization, segments, step=nearly)
                elif self.profile.align.method == "evidence":
                    diarization = self._heard_again(audio, segments, diarization, options, step)
            nobodys: list[str] = []
            if prints:
                from components.diarize import named

                diarization, nobodys = named(diarization, prints, self.profile.diarize.likeness)
            pause = self._longest_pause(options)
            speakers = diarization.exclusive
            scores, method = diarization.scores, self.profile.align.method
            how: dict[str, Any] = {"max_pause": pause, "method": method, "scores": scores}
            turns = align(segments, speakers, session_id=options.session_id, **how)
            spoken = words_with_speakers(segments, speakers, **how) if options.words else ()
            whole = None
            if options.unaligned:
                whole = align_baseline(
                    segments, speakers, session_id=options.session_id, max_pause=pause
                )
        return Analysis(
            duration=len(audio) / SAMPLE_RATE,
            turns=tuple(turns),
            speakers=diarization.segments,
            words=tuple(spoken),
            unaligned=None if whole is None else tuple(whole),
            words_without_times=words_without_times(segments),
            notes=(
                *foreign_notes(language, self.text_languages),
                *(f"has nobody who sounds like {name}" for name in nobodys),
            ),
            language=language,
        )

    def _longest_pause(self, options: Options) -> Any:
        return self.profile.align.max_pause if options.max_pause is None else options.max_pause

    def _heard_again(
        self,
        audio: np.ndarray,
        segments: Sequence[AsrSegment],
        diarization: "Diarization",
        options: Options,
        step: Callable[[float], None] | None,
    ) -> "Diarization":
        """Each sentence by itself, by the diarizer's own model."""
        from components.diarize import hear_words_again

        assert self._diarizer is not None
        most = options.num_speakers or options.max_speakers
        nearly = step and (lambda _: step(1.0))  # it may end the work
        return hear_words_again(
            self._diarizer, audio, diarization, segments, most=most, step=nearly
        )

    def voice_prints(
        self, samples: Mapping[str, np.ndarray], report_progress: Report | None = None
    ) -> dict[str, np.ndarray]:
        """As `components.diarize.voice_prints`, by the profile's pipeline."""
        if not samples:
            return {}
        from components.diarize import voice_prints

        self.load()
        step = report_progress and partial(report_progress, "enrol")
        with traces.stage("enrol"):
            return voice_prints(self._diarizer, samples, self.profile.diarize.likeness, step=step)

    def _turns_of_channels(
        self,
        audio: np.ndarray,
        channels: np.ndarray,
        options: Options,
        report_progress: Report | None,
    ) -> Analysis:
        """As `find_turns`, where each channel is a speaker."""
        from components.diarize import ChannelDiarizer

        assert self._transcriber is not None
        if self._by_channel is None:
            self._by_channel = ChannelDiarizer(self.profile.diarize)
        with traces.stage("transcribe"):
            step = report_progress and partial(report_progress, "transcribe")
            language = self._transcriber.language_of(audio, options.language)
            segments = self._transcriber.transcribe_channels(
                channels, language=language, hints=options.hints, step=step
            )
        with traces.stage("diarize"):
            step = report_progress and partial(report_progress, "diarize")
            speakers = self._by_channel.diarize(channels, step=step).segments
        with traces.stage("align"):
            pause = self._longest_pause(options)
            turns = align_channels(segments, session_id=options.session_id, max_pause=pause)
            spoken = [word for part in segments for word in flatten([part])]
        heard = {segment.speaker for segment in speakers}
        silent = [
            f"has nobody speaking on channel {number + 1}"
            for number in range(len(channels))
            if channel_speaker(number) not in heard
        ]
        return Analysis(
            duration=len(audio) / SAMPLE_RATE,
            turns=tuple(turns),
            speakers=speakers,
            words=tuple(sorted(spoken, key=attrgetter("start"))) if options.words else (),
            words_without_times=words_without_times(segments),
            notes=(*foreign_notes(language, self.text_languages), *silent),
            language=language,
        )

    def check_options(self, options: Options) -> None:
        """Refuse what the recogniser cannot do.

        Raises:
            InputError: it does not know the language, or cannot be told so much; or it was asked
                how many speak, and the channels are the speakers.
        """
        self.load()
        self.wants_channels(options)
        assert self._transcriber is not None
        if options.language:
            self._transcriber.check_language(options.language)
        self._transcriber.check_hints(options.hints)

    def analyze(
        self,
        audio: np.ndarray,
        options: Options,
        *,
        channels: np.ndarray | None = None,
        samples: Mapping[str, np.ndarray] | None = None,
    ) -> Analysis:
        """Turns with emotions; the arguments are those of `find_turns`."""
        analysis = self.find_turns(audio, options, channels=channels, samples=samples)
        if not analysis.turns or self.classify is None:
            return analysis
        from components.fusion import turn_clip

        with spent_on("classify"), NATIVE_THREADS.charged():
            rows = self.classify([turn_clip(audio, turn) for turn in analysis.turns])
        labels = self.classify.labels
        turns = (turn.answered(row, labels) for turn, row in zip(analysis.turns, rows, strict=True))
        return replace(analysis, turns=tuple(mark_uncertain(turns, self.uncertain_below)))
