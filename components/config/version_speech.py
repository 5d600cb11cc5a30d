"""The speech models that a version is served with: those that it was made with.

A model learns from the words, speakers and turns that certain speech models found. Served behind
others it answers, and its answers are silently worse. So each version says in its folder what its
examples came from, and is served by that or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.base import InputError, read_json, validate
from components.config.diarize import CHANNELS
from components.config.models import model_digest
from components.config.profile import TurnsStep, load_profile
from components.config.settings import Settings

SPEECH_MODELS = "speech_models.json"
"""In a version's folder: the digest of each speech model that its examples came from, by name."""

MODEL_REVISIONS = "model_revisions.json"
"""In a version's folder: what each of its models was where it was trained; `model_revisions`."""

MACHINES_OWN = {"transcribe": ("device", "compute_type", "batch_size"), "diarize": ("device",)}
"""What a profile may set for the machine: how a speech model is computed, not which one it is."""


@dataclass(frozen=True, slots=True)
class VersionSpeech:
    """What decides a recording's turns, for one version.

    Attributes:
        step: the settings of the speech models, and of the alignment.
        digests: of each speech model by name, as the version was made with it; none where it does
            not say.
        text_languages: that its text encoder knows; empty where it does not say.
    """

    step: TurnsStep
    digests: Mapping[str, str]
    text_languages: tuple[str, ...] = ()

    def check(self, actual: Mapping[str, str]) -> None:
        """Hold the models that are here against those that the version was made with.

        A version that was made with a hub's model knows its name only, which says nothing more.

        Raises:
            InputError: one of them is another.
        """
        names = speech_models(self.step)  # by channels no voices are compared
        for name, made_with in self.digests.items():
            if name not in names:
                continue
            here = actual.get(name, name)
            if made_with not in (here, name):
                found = "is not there" if here == name else f"has digest {here[:12]}"
                raise InputError(
                    f"the version was made with the speech model {name} of digest"
                    f" {made_with[:12]}, and the one in MOODLINE_MODELS {found}; bring that one"
                )

    def fits(self, used: "VersionSpeech") -> bool:
        """Whether the models that are used, with the digests that they have, are the version's."""
        try:
            self.check(used.digests)
        except InputError:
            return False
        return self.step == used.step

    def on_the_hub(self, settings: Settings) -> bool:
        """Whether one of the models is not prepared on this machine."""
        digests = speech_digests(self.step, settings)
        return any(name == digest != CHANNELS for name, digest in digests.items())

    def check_here(self, settings: Settings) -> dict[str, str]:
        """As `check`, of this machine's models; the digests that they have."""
        actual = speech_digests(self.step, settings)
        self.check(actual)
        return actual


def check_heard_by(folder: Path, profile: str, digests: Sequence[str]) -> None:
    """Hold the speech models that recordings will be heard by against those of a version.

    Args:
        folder: the version's.
        profile: that names the models; a `TurnsStep` as JSON.
        digests: what they are, in the order of `speech_models`.

    Raises:
        InputError: the version was made with others.
    """
    speech = version_speech(folder, TurnsStep.model_validate_json(profile))
    speech.check(dict(zip(speech_models(speech.step), digests, strict=True)))


def speech_models(step: TurnsStep) -> list[str]:
    """The names of the speech models: for words, alignment, speech and speakers; the last two may
    be one."""
    words = step.transcribe
    speech = None if step.by_channel else words.speech
    names = words.model, words.align_model, speech, step.diarize.pipeline
    return [name for name in names if name]


def speech_digests(step: TurnsStep, settings: Settings) -> dict[str, str]:
    """What identifies each speech model that is named; see `model_digest`."""
    return {name: model_digest(name, settings) for name in speech_models(step)}


def version_speech(folder: Path | None, profile: str | TurnsStep = "") -> VersionSpeech:
    """What a version is served with.

    Args:
        folder: the version's; None: there is none yet.
        profile: that the operator gave (a name, a file, JSON, or what was read of it); it may set
            `MACHINES_OWN`, and has to agree with the version in all else. Empty: the version alone
            decides.

    Raises:
        InputError: the version does not say what it was made with, and no profile does; or both
            do, and differ; or there is no such profile.
    """
    given: TurnsStep | None = None
    if profile:
        read = load_profile(profile) if isinstance(profile, str) else profile
        given = TurnsStep.of(read)
    made_with = _made_with(folder) if folder else None
    if made_with is None:
        if given is None:
            raise InputError(
                "the version does not say with which speech models it was made (profile.json);"
                " name them by --profile"
            )
        return VersionSpeech(given, {})
    if given is not None:
        ours, own = _decisive(given), _decisive(made_with.step)
        if given.by_channel:  # that is a matter of the recording, as is how many speak
            ours["diarize.pipeline"] = own["diarize.pipeline"]
        differing = [name for name in own if ours[name] != own[name]]
        if differing:
            name = differing[0]
            raise InputError(
                f"the version was made with {name} {json.dumps(own[name])}, and --profile says"
                f" {json.dumps(ours[name])}; give one that agrees (moodline serve needs none)"
            )
        return replace(made_with, step=given)
    return made_with


def _made_with(folder: Path) -> VersionSpeech | None:
    path, models = folder / "profile.json", folder / SPEECH_MODELS
    if not path.is_file():
        return None
    written = validate(dict[str, object], read_json(path), path.name)
    known = {name: value for name, value in written.items() if name in TurnsStep.model_fields}
    step = validate(TurnsStep, known, path.name)
    digests = validate(dict[str, str], read_json(models), models.name) if models.is_file() else {}
    fusion = validate(dict[str, object], written.get("fusion", {}), path.name)
    languages = validate(tuple[str, ...], fusion.get("text_languages") or (), path.name)
    return VersionSpeech(step, digests, languages)


def _decisive(step: TurnsStep) -> dict[str, object]:
    """What decides a recording's turns, flat: `transcribe.model` and so on.

    A recording alone has no reference utterances, so `segmentation` decides nothing here. How many
    speak is known of a recording, not of a version; and names are given to who is found.
    """
    excluded = _excluded()
    excluded["diarize"] |= {"num_speakers", "min_speakers", "max_speakers", "same_voice"}
    others = {"segmentation": True, "by_channel": True}
    parts = step.model_dump(mode="json", exclude={**others, **excluded})
    return {f"{part}.{name}": value for part in parts for name, value in parts[part].items()}


def _excluded() -> dict[str, set[str]]:
    return {part: set(names) for part, names in MACHINES_OWN.items()}
