"""The precision that a version is served in goes with the version."""

from pathlib import Path

import pytest

from components.base import InputError
from components.config import ServingSettings, TrainStep, load_profile, version_serving


def version(folder: Path, *changes: str) -> Path:
    """A version's folder, as training leaves it."""
    made_by = TrainStep.of(load_profile("demo", changes))
    (folder / "profile.json").write_text(made_by.model_dump_json(), encoding="utf-8")
    return folder


def test_it_is_the_profiles(tmp_path: Path) -> None:
    half = version_serving(version(tmp_path, "serving.precision=fp16"))
    assert (half.precision, half.largest_difference) == ("fp16", 0.01)
    own = ("serving.precision=fp16", "serving.tolerance=0.05")
    assert version_serving(version(tmp_path, *own)).largest_difference == 0.05


def test_a_version_that_says_nothing_is_served_in_float32(tmp_path: Path) -> None:
    single = ServingSettings()
    assert version_serving(tmp_path) == version_serving(version(tmp_path)) == single
    assert (single.precision, single.largest_difference) == ("fp32", 1e-4)
    # A profile of before is the same work as ever.
    assert "serving" not in (tmp_path / "profile.json").read_text()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"serving": {"precision": "int8"}}', r"profile\.json: 'precision' is 'int8'"),
        ("[]", "is not the profile that a version was made by"),
    ],
)
def test_what_it_cannot_be_is_refused(tmp_path: Path, written: str, message: str) -> None:
    (tmp_path / "profile.json").write_text(written)
    with pytest.raises(InputError, match=message):
        version_serving(tmp_path)
