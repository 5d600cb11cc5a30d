"""A gate file is checked when it is loaded, and says in one line what is wrong with it."""

from pathlib import Path

import pytest
import yaml

from components.base import InputError
from components.config import GateSettings, Profile, load_profile
from components.conversation import DEFAULT_LABELS


def load(tmp_path: Path, gate: str) -> GateSettings:
    """The gate of a profile that names a gate file of its own."""
    profile = load_profile("demo").model_dump(mode="json") | {"gate": "gates/strict.yaml"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile))
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "strict.yaml").write_text(gate)
    return load_profile(tmp_path / "mine.yaml").gate


def test_a_profile_may_name_a_gate_file_beside_it(tmp_path: Path) -> None:
    gate = load(
        tmp_path,
        "min_f1: 0.4\n"
        "no_regression: {accuracy: 0.02}\n"
        "slices: {sex: {min_accuracy: 0.5}}\n"
        "behaviour: {silence: 0.9}\n",
    )
    assert gate.min_f1 == dict.fromkeys(DEFAULT_LABELS, 0.4)
    assert gate.no_regression is not None and gate.no_regression.margins(1) == {"accuracy": 0.02}
    assert gate.behaviour is not None and gate.behaviour.shares() == {"silence": 0.9}
    assert gate.slices is not None and gate.slices.sex is not None
    assert gate.slices.sex.min_utterances == 50
    # As JSON, a profile carries its gate with it.
    profile = load_profile(tmp_path / "mine.yaml")
    assert load_profile(profile.model_dump_json()) == profile


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("min_acuracy: 0.5", "unknown check 'min_acuracy'; known: min_accuracy, min_macro_f1, "),
        ("slices: {gender: {min_accuracy: 0.5}}",
         "unknown check 'slices.gender'; known: sex, fold, style, length, asr_confidence"),
        ("slices: {sex: {min_f1: 0.5}}",
         "unknown check 'slices.sex.min_f1'; known: min_accuracy, min_utterances"),
        ("behaviour: {echo: 0.5}", "unknown check 'behaviour.echo'; known: silence, volume, "),
        ("latency: {p99: 5}", "unknown check 'latency.p99'; known: max_p95_ms, "),
        ("no_regression: {wer: 0.1}", "unknown check 'no_regression.wer'; known: accuracy, "),
        ("min_accuracy: 45", "'min_accuracy' is 45; it should be"),
        ("min_accuracy: high", "'min_accuracy' is 'high', not a number"),
        ("max_megabytes: 0", "'max_megabytes' is 0; it should be"),
        ("no_regression: {accuracy: 0.1}", "asks nothing of a first model"),
        ("{}", "asks nothing of a first model"),
        ("- min_accuracy", "is ['min_accuracy'], not an object"),
        ("min_accuracy: [", "is not YAML"),
    ],
)  # fmt: skip
def test_a_wrong_gate_file_is_one_line(gate: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, gate)
    text = str(caught.value)
    assert text.startswith(f"gate file {tmp_path / 'gates' / 'strict.yaml'}: ")
    assert says in text
    assert "\n" not in text


def test_a_gate_file_that_is_not_there(tmp_path: Path) -> None:
    profile = load_profile("demo").model_dump(mode="json") | {"gate": "gone.yaml"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile))
    with pytest.raises(InputError, match=r"gate file .*gone.yaml: no such file"):
        load_profile(tmp_path / "mine.yaml")


def test_an_unknown_check_within_a_profile(tmp_path: Path) -> None:
    profile = load_profile("demo").model_dump(mode="json") | {"gate": {"min_recall": 0.5}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile))
    with pytest.raises(InputError, match=r"mine.yaml: gate: unknown check 'min_recall'; known: "):
        load_profile(tmp_path / "mine.yaml")


def test_the_shipped_profiles_ask_for_every_kind_of_check() -> None:
    for name in ("demo", "paper", "tiny"):
        gate = load_profile(name).gate
        assert gate.no_regression and gate.slices and gate.behaviour and gate.latency
        assert gate.min_f1 and gate.max_teer and gate.max_steer and gate.max_ece
        assert Profile.model_fields["gate"].annotation is GateSettings


@pytest.mark.parametrize(
    ("no_regression", "says"),
    [
        ("{accuracy: {20: 0.04, 150: 2}}", "it should be a number from 0 to 1, or such a number"),
        ("{accuracy: {}}", "'no_regression.accuracy' is {}; it should be a number from 0 to 1"),
        ("{accuracy: {few: 0.1}}", "for each least number of conversations"),
        ("{accuracy: yes}", "'no_regression.accuracy' is True; it should be a number"),
        ("{accuracy: 0.1, decides: uar}", "decides by uar, which has no margin; give it one"),
        ("{accuracy: 0.1, decides: wer}", "'no_regression.decides' is 'wer'; it should be"),
    ],
)
def test_a_wrong_margin_is_one_line(no_regression: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, f"min_accuracy: 0.1\nno_regression: {no_regression}\n")
    assert says in str(caught.value)


def test_a_margin_by_the_number_of_conversations(tmp_path: Path) -> None:
    text = "{macro_f1: {150: 0.02, 20: 0.04}, teer: 0.1}"
    gate = load(tmp_path, f"min_accuracy: 0.1\nno_regression: {text}\n")
    assert gate.no_regression is not None
    for conversations, margin in ((1, 0.04), (20, 0.04), (149, 0.04), (150, 0.02), (900, 0.02)):
        assert gate.no_regression.margins(conversations) == {"macro_f1": margin, "teer": 0.1}
    assert gate.no_regression.deciding == "macro_f1"
    again = GateSettings.model_validate_json(gate.model_dump_json())
    assert again == gate
    assert again.no_regression is not None
    assert again.no_regression.margins(150) == gate.no_regression.margins(150)


def test_an_unknown_check_of_a_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown check 'slices.columns.customer.min_f1'; known"):
        load(tmp_path, "slices: {columns: {customer: {min_f1: 0.5}}}")
