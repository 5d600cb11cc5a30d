"""Commands on conversations: transcribe, diarize, align, analyze."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from components.align import align, align_baseline
from components.base import InputError, Location, counted
from components.config import Profile, Settings, version_answers, version_speech
from components.conversation import (
    UNKNOWN,
    Layout,
    Turn,
    check_channels,
    listen,
    measure,
    only_recording,
    read_audio,
    read_channels,
    read_frame_scores,
    read_rttm,
    read_words,
    recording_name,
    write_frame_scores,
    write_rttm,
    write_turns,
    write_words,
)
from components.conversation.subtitles import MAX_LINES, MAX_WIDTH, MIN_WIDTH
from pipelines.cli.console import bar, file_option, note, spinner
from pipelines.cli.options import (
    AlignMethod,
    ByChannel,
    Changes,
    Hotwords,
    KnownSpeakers,
    LanguageOption,
    MaxPause,
    MaxSpeakers,
    MinSpeakers,
    OwnProfile,
    ProfileName,
    Prompt,
    ScoresIn,
    ScoresOut,
    Speakers,
    longest_pause,
    profile_and_settings,
    reach_the_hub,
)
from pipelines.cli.showing import Format, show_turns
from pipelines.cli.stages import stage_profile

if TYPE_CHECKING:
    from serving.engine.analyze import Analyzer

SUBTITLES = {"vtt": "WebVTT", "srt": "SubRip"}


def transcribe_command(
    audio: Annotated[Path, typer.Argument(help="The recording.")],
    output: Annotated[Path, file_option("Where the words go (WhisperX's JSON).")],
    language: LanguageOption = None,
    hotwords: Hotwords = "",
    prompt: Prompt = "",
    profile: ProfileName = "demo",
    changes: Changes = None,
) -> None:
    """What was said: WhisperX's words with their times."""
    tell_what_is_odd(audio)
    samples = read_audio(audio)
    chosen, settings = profile_and_settings(profile, changes)
    from components.transcribe import Hints, Transcriber

    hints = Hints(hotwords, prompt)
    channels = read_channels(audio) if chosen.by_channel else None
    with spinner("transcribing"):
        transcriber = Transcriber(chosen.transcribe, settings)
        spoken = transcriber.language_of(samples, language)
        if channels is None:
            segments = transcriber.transcribe(samples, language=spoken, hints=hints)
        else:
            segments = transcriber.transcribe_channels(channels, language=spoken, hints=hints)
    write_words(output, segments, spoken)
    note(f"{output}: {sum(len(s.words) for s in segments)} words, language {spoken}")


def diarize_command(
    audio: Annotated[Path, typer.Argument(help="The recording.")],
    output: Annotated[Path, file_option("Where the segments go (RTTM).")],
    num_speakers: Speakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    channels: ByChannel = False,
    exclusive: Annotated[
        bool,
        typer.Option("--exclusive", help="One speaker at a time: what `analyze` aligns words to."),
    ] = False,
    scores: ScoresOut = None,
    profile: ProfileName = "demo",
    changes: Changes = None,
) -> None:
    """Who spoke when: pyannote's speaker segments."""
    from serving.engine.options import Options

    tell_what_is_odd(audio)
    chosen, settings = profile_and_settings(profile, changes)
    by_channel = channels or chosen.by_channel
    limits: dict[str, Any] = {"min_speakers": min_speakers, "max_speakers": max_speakers}
    Options("", num_speakers, channels=by_channel, **limits)  # refuses what contradicts itself
    samples = read_channels(audio) if by_channel else read_audio(audio)
    from components.diarize import ChannelDiarizer, Diarizer

    with spinner("finding the speakers"):
        if by_channel:
            diarization = ChannelDiarizer(chosen.diarize).diarize(samples)
        else:
            diarization = Diarizer(chosen.diarize, settings).diarize(
                samples, num_speakers, **limits
            )
    segments = diarization.exclusive if exclusive else diarization.segments
    name = recording_name(audio)
    if scores and not diarization.scores:
        raise InputError(
            "--scores: nobody speaks, or what finds the speakers tells no frame scores"
        )
    write_rttm(output, name, segments)
    if scores and diarization.scores:
        write_frame_scores(scores, diarization.scores, name, segments)
    note(f"{output}: {len({s.speaker for s in segments})} speakers")


def align_command(
    words: Annotated[Path, typer.Argument(help="Anyone's WhisperX JSON.")],
    speakers: Annotated[Path, typer.Argument(help="Anyone's RTTM, of one recording.")],
    output: Annotated[Path, file_option("Where the turns go (SegLST JSON).")],
    max_pause: MaxPause = "1.5",
    method: AlignMethod = "overlap",
    scores: ScoresIn = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="The paper's “without alignment” instead.")
    ] = False,
) -> None:
    """Words and speaker segments to turns. Needs no model."""
    if baseline and method == "evidence":
        raise InputError("--baseline --method evidence: choose one")
    if scores and method != "evidence":
        raise InputError("--scores goes with --method evidence")
    pause = longest_pause(max_pause)
    notes: list[str] = []
    segments = read_words(words, notes)
    for line in notes:
        note(f"{words}: {line}")
    session_id, spoken = only_recording(
        read_rttm(speakers), str(speakers), recording_name(words.stem)
    )
    if any(segment.speaker == UNKNOWN for segment in spoken):
        note(f"{speakers}: has a speaker named {UNKNOWN}, the name for words outside all speech")
    assert pause is not None
    kept = read_frame_scores(scores, session_id, spoken) if scores else None
    join = align_baseline if baseline else partial(align, method=method, scores=kept)
    turns = join(segments, spoken, session_id=session_id, max_pause=pause)
    write_turns(output, turns)
    note(f"{output}: {len(turns)} turns")


def analyze_command(
    audio: Annotated[list[Path], typer.Argument(help="One recording or more.")],
    num_speakers: Speakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    max_pause: MaxPause = None,
    output_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = "table",
    output: Annotated[Path | None, file_option("A file instead of the screen.")] = None,
    line_length: Annotated[
        int, typer.Option(min=MIN_WIDTH, max=MAX_WIDTH, help="Characters in a line of subtitles.")
    ] = 42,
    max_lines: Annotated[int, typer.Option(min=1, max=MAX_LINES, help="Lines in a subtitle.")] = 2,
    language: LanguageOption = None,
    channels: ByChannel = False,
    speaker: KnownSpeakers = None,
    hotwords: Hotwords = "",
    prompt: Prompt = "",
    profile: OwnProfile = None,
    changes: Changes = None,
    profile_stages: Annotated[
        bool,
        typer.Option("--profile-stages", help="Say at the end what each kind of work took."),
    ] = False,
    model: Annotated[
        str, typer.Option(help="A registered version or alias, or a model's folder.")
    ] = "production",
) -> None:
    """Who said what, when, and with which emotion.

    The labels are guesses about people. They must not be used to infer the emotions of people at
    work or in schools (EU AI Act, Article 5), nor to decide anything about a person.
    """
    from serving.engine.analyze import APART
    from serving.engine.options import Options

    options = Options(
        "", num_speakers, longest_pause(max_pause), language=language, channels=channels,
        min_speakers=min_speakers, max_speakers=max_speakers, hotwords=hotwords, prompt=prompt,
    )  # fmt: skip
    if output_format in SUBTITLES and len(audio) > 1:
        raise InputError(f"{SUBTITLES[output_format]} holds one recording; analyze them one by one")
    for path in audio:
        tell_what_is_odd(path)  # a bad file is refused before any model is loaded
        if channels:
            check_channels(path)
    names = [recording_name(path) for path in audio]
    if len(set(names)) < len(names):
        raise InputError("two recordings have one name; rename one, for turns carry the name")
    samples = read_samples(speaker or ())
    options = replace(options, known=tuple(samples))
    settings, chosen = Settings(), None
    if profile or changes:
        chosen, settings = profile_and_settings(profile or "demo", changes)
    analyzer = open_analyzer(model, chosen, settings)
    analyzer.check_options(options)
    by_channel = analyzer.wants_channels(options)
    turns: list[Turn] = []
    with stage_profile(profile_stages), bar("listening") as progress:
        progress(0, len(audio))
        for done, path in enumerate(audio, start=1):
            asked = replace(options, session_id=names[done - 1])
            sound = counted("decode", listen)(path)
            split = read_channels(path) if by_channel else None
            analysis = analyzer.analyze(sound.samples, asked, channels=split, samples=samples)
            turns += analysis.turns
            odd = [APART] if sound.apart and not by_channel else []
            for line in (*odd, *analysis.notes):
                note(f"{path}: {line}")
            progress(done, len(audio))
    for name in names:
        if not any(turn.session_id == name for turn in turns):
            note(f"{name}: nobody speaks")
    show_turns(turns, names, output_format, output, Layout(line_length, max_lines))


def read_samples(given: Sequence[str]) -> dict[str, np.ndarray]:
    """The samples of voices that are given as NAME=FILE, by name.

    Raises:
        InputError: one is not given like that, is given twice, or cannot be read.
    """
    from components.diarize import MAX_SAMPLE, check_name

    samples: dict[str, np.ndarray] = {}
    for entry in given:
        name, equals, path = entry.partition("=")
        if not equals or not path:
            raise InputError(f"--speaker {entry}: write NAME=FILE, as in Ann=ann.wav")
        check_name(name)
        if name in samples:
            raise InputError(f"--speaker {name}: is given twice")
        samples[name] = read_audio(Path(path), 0.0, MAX_SAMPLE)
    return samples


def open_analyzer(model: str, profile: Profile | None, settings: Settings) -> "Analyzer":
    """Load all models; `model` is a registered version, an alias or a folder.

    The speech models are the version's own. A profile may only say how they are computed.

    Raises:
        InputError: there is none, or it was made with other speech models than the profile's.
    """
    from components.fusion import Classifier
    from serving.engine.analyze import Analyzer

    folder = Path(model)
    if not folder.is_dir():
        from components.register import download

        with spinner(f"fetching model {model}"):
            folder = download(model, settings.cache / "versions", settings)
    speech = version_speech(folder, profile or "")
    if speech.on_the_hub(settings):
        reach_the_hub()
    speech.check_here(settings)
    with spinner("loading the models"):
        analyzer = Analyzer(
            speech.step,
            settings,
            Classifier(folder),
            version_answers(folder).uncertain_below,
            text_languages=speech.text_languages,
        )
        analyzer.load()
    return analyzer


def tell_what_is_odd(path: Location) -> None:
    """Read a recording to its end, so that a bad one is refused, and say what is odd in it."""
    for line in measure(path, Settings().finished).notes:
        note(f"{path}: {line}")
