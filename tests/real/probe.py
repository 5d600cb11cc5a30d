"""The linear probe: logistic regression on what the frozen speech encoder holds.

Means and standard deviations of all its layers over a turn, standardised, C 0.01; fitted to the
three folds that the fusion model is fitted to, so without the one that chose its epoch.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.config import Profile, Settings, resolve_model
from components.conversation import Recording, Turn
from components.fusion.model import MoodlineModel
from components.fusion.tokens import pretrained_tokenizer
from components.train.data import Row, Sound, read_rows
from components.train.states import encode_rows
from pipelines.experiments.protocol import Unit
from pipelines.experiments.turns import CorpusTurns

C = 0.01


class ProbeFeatures:
    """The features of turns, read from the cache of encoded states or computed.

    Args:
        recordings: of the corpus.
    """

    def __init__(
        self, recordings: Sequence[Recording], profile: Profile, settings: Settings
    ) -> None:
        fusion = profile.fusion
        acoustic, text = (resolve_model(name, settings) for name in (fusion.acoustic, fusion.text))
        self._model = MoodlineModel.from_encoders(
            acoustic, text, use_weighted_layer_sum=True, pooling="statistics"
        )
        self._tokenizer = pretrained_tokenizer(text)
        self._recordings, self._cache = recordings, settings.finished

    def __call__(self, rows: Sequence[Row]) -> np.ndarray:
        """[rows, layers × 2 × d]."""
        sound = Sound(self._recordings, rows, self._cache)
        encoded = encode_rows(
            self._model,
            self._tokenizer,
            rows,
            sound=sound,
            cache=self._cache,
            report=lambda _: None,
        )
        return np.stack(
            [sum(w.weight * w.acoustic.reshape(-1) for w in windows) for windows in encoded]
        )


def probe_turns(
    units: Sequence[Unit],
    turns: CorpusTurns,
    recordings: Sequence[Recording],
    profile: Profile,
    settings: Settings,
) -> list[Turn]:
    """The turns of each unit's test fold with the probe's answers.

    Args:
        units: one for each fold.
    """
    features = ProbeFeatures(recordings, profile, settings)
    examples = read_rows(turns.examples, profile.labels)
    of_examples = features(examples)
    answered: list[Turn] = []
    for unit in units:
        held_out = (unit.test_fold, unit.validation_fold)
        fitted = [i for i, row in enumerate(examples) if row.fold not in held_out]
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))
        probe.fit(of_examples[fitted], [examples[i].label for i in fitted])
        own = [t for r in recordings if r.fold == unit.test_fold for t in turns.turns[r.name]]
        rows = [
            Row(t.session_id, unit.test_fold, t.start, t.end, t.words, 0, t.asr_confidence)
            for t in own
        ]
        answers = probe.predict_proba(features(rows))
        labels = [profile.labels[label] for label in probe.classes_]
        answered += [t.answered(row, labels) for t, row in zip(own, answers, strict=True)]
    return answered
