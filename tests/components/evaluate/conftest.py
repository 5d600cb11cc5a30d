"""A small corpus of noise, its turns, and real models that know one answer each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from components.config import Profile, load_profile
from components.conversation import DEFAULT_LABELS, SAMPLE_RATE, Recording, Turn, Utterance
from components.evaluate import Evaluation, evaluate
from tests.tiny import word_tokenizer

WORDS = ("a", "how", "are", "you")
SAID = {"A": "how are you", "B": "are you"}


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The demo profile, tested on fold “two”, with a gate at 0.3."""
    demo = load_profile("tiny").model_dump()
    demo["protocol"] = {"test_fold": "two", "validation_fold": "one"}
    demo["gate"] = {
        "min_accuracy": 0.3,
        "min_macro_f1": 0.1,
        "no_regression": {"accuracy": 0.1, "macro_f1": 0.1, "teer": 0.1, "min_conversations": 2},
    }
    return Profile.model_validate(demo)


def _utterances(name: str, emotions: list[str]) -> tuple[Utterance, ...]:
    """Two seconds each, by A and B in turn."""
    return tuple(
        Utterance(f"{name}-{i}", name, 2 * i, 2 * i + 1.9, who, "F" if who == "A" else "M",
                  SAID[who], emotion)
        for i, emotion in enumerate(emotions)
        for who in ["AB"[i % 2]]
    )  # fmt: skip


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """One recording of fold “one” and two of fold “two”.

    Fold “two” has 4 sad, 2 angry, 1 happy and one other.
    """
    home = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    corpus = []
    for name, fold, scripted, emotions in (
        ("learned", "one", None, ["sad", "happy"]),
        ("calm", "two", False, ["sad", "sad", "angry", "sad"]),
        ("loud", "two", True, ["angry", "sad", "other", "happy"]),
    ):
        path = home / f"{name}.flac"
        pitch = np.repeat([90, 700, 2500, 6000], 2 * SAMPLE_RATE) * (1 + (name == "loud") / 2)
        tone = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
        sound = tone + random.normal(0, 0.01, len(tone))
        soundfile.write(path, sound.astype(np.float32), SAMPLE_RATE)
        corpus.append(Recording(name, path, fold, scripted, _utterances(name, emotions)))
    return corpus


@pytest.fixture(scope="session")
def turns(recordings: list[Recording]) -> dict[str, list[Turn]]:
    """What a good recogniser would cut: every utterance but the last of “loud”."""
    return {
        recording.name: [
            Turn(
                recording.name, u.start, u.end, {"A": "S0", "B": "S1"}[u.speaker], u.text,
                asr_confidence=0.5 if recording.name == "loud" else 0.9,
            )
            for u in recording.utterances
            if u.id != "loud-3"
        ]
        for recording in recordings
    }  # fmt: skip


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny random model's folder; with an emotion given, one that always answers it."""
    import torch

    from components.fusion.config import MoodlineConfig
    from components.fusion.model import MoodlineModel

    home = tmp_path_factory.mktemp("models")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16}  # fmt: skip
    wave = {
        "model_type": "wav2vec2",
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
    text = {"model_type": "bert", "vocab_size": 8, "max_position_embeddings": 16}
    sizes = {"heads": 2, "feed_forward": 16, "max_tokens": 16}
    tokenizer = word_tokenizer(WORDS)

    def make(emotion: str | None, labels: tuple[str, ...] = DEFAULT_LABELS) -> Path:
        folder = home / f"{emotion or 'random'} of {', '.join(labels)}"
        if not folder.exists():
            torch.manual_seed(0)
            config = MoodlineConfig(wave | size, text | size, labels=labels, **sizes)
            network = MoodlineModel(config).eval()
            with torch.no_grad():
                if emotion is None:
                    network.head.classifier.weight.mul_(50)  # so that clips differ visibly
                else:
                    network.head.classifier.weight.zero_()
                    network.head.classifier.bias.zero_()[labels.index(emotion)] = 2.0
            network.save_pretrained(folder)
            tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return make


@pytest.fixture(scope="session")
def evaluation(
    model: Callable[[str | None], Path],
    recordings: list[Recording],
    turns: dict[str, list[Turn]],
    profile: Profile,
) -> Evaluation:
    """“Always sad” against “always angry” in production."""
    return evaluate(
        model("sad"), recordings, turns, profile, champion=model("angry"), synthetic=True
    )
