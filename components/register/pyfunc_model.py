"""The code of a registered model: what `mlflow.pyfunc.load_model` runs.

MLflow keeps a copy of this file with each version ("models from code"), so nothing is pickled. It
needs Moodline's package beside it, for the model's windows and tokens; it does not need torch.
"""

from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class MoodlinePyfunc(PythonModel):
    """Turns to emotions, by the version's ONNX graph."""

    def load_context(self, context: Any) -> None:
        """Open the version's folder."""
        from components.fusion import Classifier

        self.classifier = Classifier(context.artifacts["model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Classify turns.

        Args:
            model_input: a table with `audio` (mono samples at 16 kHz, in −1…1) and `text`.

        Returns:
            For each row `emotion`, `probabilities` (in the order of the labels) and `embedding`.
        """
        clips = [
            (np.asarray(audio, dtype=np.float32), str(text))
            for audio, text in zip(model_input["audio"], model_input["text"], strict=True)
        ]
        probabilities, embeddings = self.classifier.predict(clips)
        return pd.DataFrame(
            {
                "emotion": [self.classifier.labels[row.argmax()] for row in probabilities],
                "probabilities": probabilities.tolist(),
                "embedding": embeddings.tolist(),
            }
        )


set_model(MoodlinePyfunc())
