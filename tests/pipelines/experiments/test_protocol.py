"""Every fold is left out once, whatever the profile itself holds out."""

from pathlib import Path

from components.config import ProtocolSettings, load_profile
from components.conversation import DEFAULT_LABELS, FEEDBACK, Recording, Utterance
from pipelines.experiments.protocol import Unit, check_folds
from pipelines.experiments.systems import ALIGNED


def recording(name: str, fold: str) -> Recording:
    utterances = tuple(
        Utterance(f"{name}{n}", name, n, n + 1, "A", None, "", emotion)
        for n, emotion in enumerate(DEFAULT_LABELS)
    )
    return Recording(name, Path(name), fold, None, utterances)


def test_what_came_back_from_traffic_is_no_fold_to_test_on() -> None:
    recordings = [recording(name, name) for name in ("c", "a", "b")]
    recordings.append(recording("again", FEEDBACK))
    assert check_folds(recordings, DEFAULT_LABELS) == ["a", "b", "c"]


def test_a_profile_that_holds_out_a_share_still_leaves_a_fold_out() -> None:
    shares = ProtocolSettings(test_share=0.5, validation_share=0.3)
    profile = load_profile("tiny").model_copy(update={"protocol": shares})
    unit = Unit(ALIGNED, "a", "b", 1)
    protocol = unit.profile(profile).protocol
    assert [protocol.part(f"call-{n}", "c") for n in range(50)] == ["training"] * 50
    assert {protocol.part(f"call-{n}", "a") for n in range(50)} == {"test"}
