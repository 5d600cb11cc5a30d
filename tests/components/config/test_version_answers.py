"""What a version says of its answers goes with the version."""

import json
from pathlib import Path

import pytest

from components.base import InputError
from components.config import TrainStep, VersionAnswers, load_profile, version_answers


def version(folder: Path, temperature: object, *changes: str) -> Path:
    made_by = TrainStep.of(load_profile("demo", changes))
    (folder / "profile.json").write_text(made_by.model_dump_json(), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"calibration_temperature": temperature}))
    return folder


def test_it_is_the_versions_own(tmp_path: Path) -> None:
    written = version_answers(version(tmp_path, 1.7, "uncertain_below=0.5"))
    assert written == VersionAnswers(temperature=1.7, uncertain_below=0.5)


def test_a_version_of_before_says_nothing(tmp_path: Path) -> None:
    assert version_answers(tmp_path) == VersionAnswers(1.0, 0.0)
    version(tmp_path, 1.0)
    assert version_answers(tmp_path) == VersionAnswers(1.0, 0.0)
    # A profile without a threshold is the same work as ever.
    assert "uncertain_below" not in (tmp_path / "profile.json").read_text()


@pytest.mark.parametrize("temperature", [0, -1.0, "warm", True, None])
def test_what_is_no_temperature_is_refused(tmp_path: Path, temperature: object) -> None:
    with pytest.raises(InputError, match=r"config\.json: calibration_temperature is not"):
        version_answers(version(tmp_path, temperature))


def test_a_threshold_is_a_share() -> None:
    with pytest.raises(InputError, match="uncertain_below"):
        load_profile("demo", ["uncertain_below=40"])
