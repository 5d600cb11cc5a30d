"""The code of a registered model: what `mlflow.pyfunc.load_model` runs.

MLflow keeps a copy of this file with each version ("models from code"), so nothing is pickled. It
needs Moodline's package beside it, for the model's windows and tokens; it does not need torch.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class MoodlinePyfunc(PythonModel):
    """Turns to emotions, by the version's ONNX graph."""

    def load_context(self, context: Any) -> None:
        """Open the graph and the tokenizer of the version's folder."""
        from components.fusion import OnnxModel, load_tokenizer

        folder = Path(context.artifacts["model"])
        self.model = OnnxModel(folder / "model.onnx")
        self.tokenizer = load_tokenizer(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Classify turns.

        Args:
            context: MLflow's; not used.
            model_input: a table with `audio` (mono samples at 16 kHz, in −1…1) and `text`.
            params: not used.

        Returns:
            For each row `emotion`, `probabilities` (in the order of the model's emotions) and
            `embedding`.
        """
        from components.fusion import predict

        clips = [
            (np.asarray(audio, dtype=np.float32), str(text))
            for audio, text in zip(model_input["audio"], model_input["text"], strict=True)
        ]
        probabilities, embeddings = predict(self.model, clips, tokenizer=self.tokenizer)
        return pd.DataFrame(
            {
                "emotion": [self.model.emotions[row.argmax()] for row in probabilities],
                "probabilities": probabilities.tolist(),
                "embedding": embeddings.tolist(),
            }
        )


set_model(MoodlinePyfunc())
