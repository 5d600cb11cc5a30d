"""Which examples are trained on, and what is refused."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base import InputError
from components.config import Profile, ProtocolSettings, Settings
from components.conversation import FEEDBACK, Recording
from components.train import TrainResult, train
from components.train.data import Row, split_rows

Corpus = tuple[Path, list[Recording]]
Make = Callable[..., Profile]


def table_without(path: Path, out: Path, keep: Callable[[dict], bool]) -> Path:
    """The examples for which `keep` holds, in a file of their own."""
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(list(filter(keep, table.to_pylist())), table.schema), out)
    return out


def test_the_test_fold_changes_nothing(
    trained: TrainResult, corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    examples, recordings = corpus
    fewer = table_without(examples, tmp_path / "e.parquet", lambda row: row["fold"] != "fold2")
    without = train(fewer, recordings[:4], tmp_path / "model", make_profile(), settings)
    assert without.digest == trained.digest


def test_shares_of_the_recordings_are_held_out_and_feedback_never_is() -> None:
    rows = [Row(f"call-{n}", "all", 0.0, 1.0, "", n % 4, None) for n in range(100)]
    rows += [Row(f"call-{n}", FEEDBACK, 0.0, 1.0, "", n % 4, None) for n in range(100)]
    protocol = ProtocolSettings(test_share=0.2, validation_share=0.2)
    split = split_rows(rows, protocol)
    assert sum(row.fold == FEEDBACK for row in split.training) == 100
    assert {row.fold for row in split.validation} == {"all"}
    for row in split.training + split.validation:
        assert protocol.part(row.recording, row.fold) != "test"
    assert 50 < sum(row.fold == "all" for row in split.training) < 70


def test_one_fold_may_lack_an_emotion_and_is_named(
    corpus: Corpus,
    make_profile: Make,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = {"r0": "sad", "r3": "angry", "r2": "angry"}
    table = pq.read_table(corpus[0]).to_pylist()
    for row in table:
        # Two folds to train on: r0 is one, r1 another.
        row["fold"] = {"r0": "fold0", "r1": "fold3"}.get(row["recording"], row["fold"])
    rows = [row for row in table if row["emotion"] != kept.get(row["recording"])]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "e.parquet")
    with caplog.at_level(logging.WARNING, "components.train"):
        result = train(
            tmp_path / "e.parquet", corpus[1], tmp_path / "model", make_profile(epochs=1), settings
        )
    assert "fold fold0 has no sad example" in caplog.text
    assert "validation (fold1) has no angry example" in caplog.text
    assert result.training_examples["sad"] == 2
    assert result.validation_examples["angry"] == 0
    assert all(np.isfinite(value) for value in result.history[0].values())


def test_bad_examples_are_refused_in_one_line(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    examples, recordings = corpus
    out, profile = tmp_path / "model", make_profile()
    empty = table_without(examples, tmp_path / "1.parquet", lambda row: row["fold"] != "fold1")
    one = table_without(
        examples,
        tmp_path / "2.parquet",
        lambda row: row["fold"] != "fold0" or row["emotion"] == "sad",
    )
    single = table_without(
        examples,
        tmp_path / "6.parquet",
        lambda row: row["fold"] != "fold1" or row["emotion"] == "happy",
    )
    none = table_without(examples, tmp_path / "7.parquet", lambda row: row["fold"] != "fold0")
    lacking = tmp_path / "3.parquet"
    pq.write_table(pq.read_table(examples).drop_columns(["text"]), lacking)
    (tmp_path / "4.parquet").write_text("not parquet")
    cases = [
        (
            empty,
            recordings,
            r"validation part \(fold1\) has no examples; there are of the folds fold0, fold2",
        ),
        (one, recordings, r"no angry or happy or neutral in the training folds \(fold0\)"),
        (single, recordings, r"the validation part \(fold1\) has only happy"),
        (none, recordings, r"the test \(fold2\) and validation parts \(fold1\) there is nothing"),
        (lacking, recordings, "3.parquet: lacks the column text"),
        (tmp_path / "4.parquet", recordings, "4.parquet: is not Parquet"),
        (tmp_path / "5.parquet", recordings, "5.parquet: no such file"),
        (examples, recordings[1:], "r0: has examples but is not in the corpus"),
    ]
    for path, corpus_recordings, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            train(path, corpus_recordings, out, profile, settings)
        assert "\n" not in str(caught.value)
        assert not out.exists()
    both = profile.protocol.model_copy(update={"test_fold": "fold1"})
    with pytest.raises(InputError, match="fold1 cannot be both"):
        train(examples, recordings, out, profile.model_copy(update={"protocol": both}), settings)


def test_sound_that_is_not_numbers_is_refused(
    corpus: Corpus, make_profile: Make, settings: Settings, tmp_path: Path
) -> None:
    import soundfile

    examples, recordings = corpus
    broken = Recording("r1", tmp_path / "r1.wav", "fold0", False, ())
    soundfile.write(broken.audio, np.full(60_000, np.nan, "f4"), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"r1\.wav: has samples that are not numbers"):
        train(
            examples,
            [recordings[0], broken, *recordings[2:]],
            tmp_path / "model",
            make_profile(),
            settings,
        )


def test_a_missing_encoder_is_named(corpus: Corpus, make_profile: Make, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, models=tmp_path / "none")
    with pytest.raises(InputError, match="tiny-wave: no such speech encoder"):
        train(*corpus, tmp_path / "model", make_profile(), settings)
