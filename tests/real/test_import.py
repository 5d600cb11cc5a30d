"""`moodline corpus import ravdess` on the real clips, cut out of the conversations again."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.conversation import Utterance, read_audio
from components.corpus import check_corpus, read_corpus
from components.corpus.sets import import_set
from components.corpus.sets.named import RAVDESS_LABELS, RAVDESS_TEXTS
from tests.real.data import RealData
from tests.real.report import Number, Report

RATE = 16_000


@pytest.fixture(scope="module")
def clips(
    data: RealData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Mapping[str, tuple[Utterance, np.ndarray]]]:
    """RAVDESS' tree, and the reference and samples of each clip by its file's name.

    Intensity and repetition are not in the reference: they are counted through.
    """
    folder = tmp_path_factory.mktemp("real") / "ravdess"
    codes = {label: code for code, label in RAVDESS_LABELS.items()}
    statements = {text: code for code, text in RAVDESS_TEXTS.items()}
    takes = defaultdict(lambda: iter(list(product(("01", "02"), ("01", "02")))))
    cut = {}
    for recording in read_corpus(data.ravdess):
        sound = read_audio(recording.audio)
        for said in recording.utterances:
            actor, statement = said.speaker.removeprefix("actor"), statements[said.text]
            intensity, repetition = next(takes[actor, said.emotion, statement])
            if said.emotion == "neutral":  # there is no strong one
                intensity, repetition = "01", {"01": "01", "02": "02"}[repetition]
            name = f"03-01-{codes[said.emotion]}-{intensity}-{statement}-{repetition}-{actor}"
            samples = sound[round(said.start * RATE) : round(said.end * RATE)]
            path = folder / f"Actor_{actor}" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, RATE, subtype="FLOAT")
            cut[name] = said, samples
    return folder, cut


def test_the_manifest_says_what_the_reference_says(
    clips: tuple[Path, Mapping[str, tuple[Utterance, np.ndarray]]], tmp_path: Path, report: Report
) -> None:
    folder, cut = clips
    done = import_set("ravdess", folder, tmp_path / "out", partial=True, listen=True)
    recordings = read_corpus(tmp_path / "out")
    assert {recording.name for recording in recordings} == cut.keys()
    for recording in recordings:
        (said,) = recording.utterances
        reference, samples = cut[recording.name]
        for field in ("speaker", "sex", "text", "emotion"):
            assert getattr(said, field) == getattr(reference, field), recording.name
        assert said.end - said.start == pytest.approx(len(samples) / RATE, abs=1e-6)
        assert np.allclose(read_audio(recording.audio, said.start, said.end), samples, atol=1e-4)
    checked = check_corpus(tmp_path / "out")
    assert checked.speakers_in_several_folds == 0
    assert set(checked.licences) == {"CC BY-NC-SA 4.0"}
    assert not checked.findings
    report.add(Number("RAVDESS' clips, imported", "clips that agree with the reference", 1.0,
                      note=f"{done.recordings} of {len(cut)}"))  # fmt: skip
