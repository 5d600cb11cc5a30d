"""What is held out stays held out: by fold, or by a hash of the recordings' names."""

import pytest
from pydantic import ValidationError

from components.config import ProtocolSettings
from components.conversation import FEEDBACK

NAMES = [f"call-{number}" for number in range(1000)]
SHARES = ProtocolSettings(test_share=0.2, validation_share=0.1)


def test_by_fold() -> None:
    protocol = ProtocolSettings(test_fold="five", validation_fold="four")
    parts = [protocol.part("any", fold) for fold in ("one", "four", "five")]
    assert parts == ["training", "validation", "test"]
    assert (protocol.test, protocol.validation) == ("five", "four")


def test_by_the_hash_of_the_name_a_recording_stays_where_it_is() -> None:
    parts = {name: SHARES.part(name, "any") for name in NAMES}
    counts = [sum(part == wanted for part in parts.values()) for wanted in ("test", "validation")]
    assert counts[0] == pytest.approx(200, abs=40)
    assert counts[1] == pytest.approx(100, abs=30)
    assert SHARES.test == "20 % of the recordings by the hash of the name"
    # The rule itself, so that nothing that was ever tested on is trained on after an update:
    # the first 8 bytes of the name's SHA-256 as a number from 0 to 1.
    assert parts["call-0"] == "training"
    assert parts["call-2"] == "validation"
    assert parts["call-9"] == "test"
    wider = ProtocolSettings(test_share=0.3, validation_share=0.1)
    tested = {name for name, part in parts.items() if part == "test"}
    assert tested < {name for name in NAMES if wider.part(name, "any") == "test"}


def test_a_share_beside_a_fold() -> None:
    protocol = ProtocolSettings(test_share=0.2, validation_fold="week-3")
    assert {protocol.part(name, "week-3") for name in NAMES} == {"test", "validation"}
    assert {protocol.part(name, "week-1") for name in NAMES} == {"test", "training"}
    protocol = ProtocolSettings(test_fold="week-3", validation_share=0.2)
    assert {protocol.part(name, "week-3") for name in NAMES} == {"test"}
    assert {protocol.part(name, "week-1") for name in NAMES} == {"validation", "training"}


@pytest.mark.parametrize(
    "protocol", [SHARES, ProtocolSettings(test_share=0.9, validation_fold="feed")]
)
def test_what_came_back_from_traffic_is_only_trained_on(protocol: ProtocolSettings) -> None:
    assert {protocol.part(name, FEEDBACK) for name in NAMES} == {"training"}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"validation_fold": "b"}, "either test_fold or test_share"),
        (
            {"test_fold": "a", "test_share": 0.2, "validation_fold": "b"},
            "either test_fold or test_share",
        ),
        ({"test_fold": "a"}, "either validation_fold or validation_share"),
        ({"test_fold": FEEDBACK, "validation_fold": "b"}, "only trained on"),
        ({"test_fold": "a", "validation_fold": FEEDBACK}, "only trained on"),
        ({"test_share": 0.6, "validation_share": 0.4}, "nothing to train on"),
        ({"test_share": 0.0, "validation_fold": "b"}, "greater than 0"),
        ({"test_share": 1.0, "validation_fold": "b"}, "less than 1"),
    ],
)
def test_protocols_that_hold_out_nothing_or_too_much(given: dict, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ProtocolSettings(**given)
