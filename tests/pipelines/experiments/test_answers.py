"""What an experiment asks of a model and its probe is what serving and evaluation would get."""

from pathlib import Path

import pytest

from components.config import Profile, Settings
from components.conversation import Recording
from components.evaluate import measure, predict_turns
from components.evaluate.probe import measure_probe
from components.fusion import Classifier
from components.train import train
from pipelines.experiments.answers import answer_turns
from pipelines.experiments.protocol import plan
from pipelines.experiments.systems import ALIGNED, ALIGNED_FROZEN, System, TurnMethod
from pipelines.experiments.turns import make_turns


@pytest.mark.parametrize("system", [ALIGNED_FROZEN, ALIGNED], ids=lambda s: s.strategy)
def test_the_answers_are_those_that_are_served(
    system: System,
    recordings: list[Recording],
    heard: Path,
    profile: Profile,
    settings: Settings,
    tmp_path: Path,
) -> None:
    made = make_turns(TurnMethod.ALIGNED, recordings, profile, settings, heard, lambda *_: None)
    own = plan([system], recordings, profile)[0].profile(profile)
    train(made.examples, recordings, tmp_path / "version", own, settings)
    answered, probed = answer_turns(tmp_path / "version", recordings, made.turns, settings)
    served = predict_turns(Classifier(tmp_path / "version"), recordings, made.turns)
    assert len(answered) == len(served) == 48
    for one, other in zip(answered, served, strict=True):
        assert (one.session_id, one.start) == (other.session_id, other.start)
        assert one.probabilities == pytest.approx(other.probabilities, abs=2e-4)
    model = measure(recordings, served, profile.seed)
    evaluated = measure_probe(
        tmp_path / "version", recordings, served, model, profile.seed, settings
    )
    assert evaluated is not None
    assert measure(recordings, probed, profile.seed).metrics["uar"] == evaluated["uar"]
