"""What people use today: the model by eager torch inside a BentoML service, as its examples do it.

Clips come one a request, as files; the method runs in BentoML's pool of threads.
"""

import os
from pathlib import Path

import bentoml


@bentoml.service(traffic={"timeout": 120})
class Eager:
    """Answers by the same model as the service it is compared with."""

    def __init__(self) -> None:
        from components.fusion import load_tokenizer
        from components.fusion.model import load_model

        folder = Path(os.environ["EAGER_MODEL"])
        self.model = load_model(folder)
        self.tokenizer = load_tokenizer(folder)

    @bentoml.api
    def classify(self, audio: Path, text: str) -> list[float]:
        """One clip's probabilities."""
        from components.conversation import read_audio
        from components.fusion import predict

        clips = [(read_audio(audio), text)]
        return predict(self.model, clips, tokenizer=self.tokenizer)[0][0].tolist()
