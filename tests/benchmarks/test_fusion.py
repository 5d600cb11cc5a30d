"""The model against the plain loop that the paper's own code is, at base size, random weights.

Every ratio is of two times in one run. On a machine that others use too, read the ratio of CPU
times, which is printed beside that of wall-clock times.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from components.conversation import SAMPLE_RATE
from components.fusion import Clip, OnnxModel, clip_windows, predict
from components.fusion.config import MoodlineConfig
from components.fusion.export import export_onnx
from components.fusion.model import MoodlineModel
from components.train.loop import fit
from components.train.states import one_thread
from components.train.windows import Item
from tests.benchmarks.fitting import train_step

WORDS = [f"w{i}" for i in range(200)]
EVALUATED, FITTED = 32, 24

pytestmark = pytest.mark.timeout(3600)


@dataclass(frozen=True, slots=True)
class Took:
    """What a piece of work took, in seconds: by the clock, and of all cores together."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def report(what: str, ours: Took, plain: Took) -> None:
    print(
        f"\n{what}: ours {ours.wall:.1f} s, plain {plain.wall:.1f} s, ratio"
        f" {plain.wall / ours.wall:.2f} (CPU time: {plain.cpu / ours.cpu:.2f})"
    )


def base_size(layers: int = 12) -> MoodlineModel:
    """wav2vec2-base and roberta-base in size and kind."""
    torch.manual_seed(0)
    roberta = {
        "model_type": "roberta",
        "vocab_size": 50_265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "num_hidden_layers": layers,
    }
    wave = {"model_type": "wav2vec2", "layerdrop": 0.0, "num_hidden_layers": layers}
    return MoodlineModel(MoodlineConfig(wave, roberta, normalize_audio=True)).eval()


@pytest.fixture(scope="module")
def model() -> MoodlineModel:
    return base_size()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    vocabulary = {w: i for i, w in enumerate(["[CLS]", "[PAD]", "[SEP]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    return tokenizer


def make_clips(count: int) -> list[Clip]:
    """2 to 15 seconds each, two and a half words a second."""
    rng = np.random.default_rng(0)
    made: list[Clip] = []
    for seconds in rng.uniform(2, 15, count):
        sound = 0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE))
        made.append((sound.astype("f4"), " ".join(rng.choice(WORDS, round(2.5 * seconds)))))
    return made


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return make_clips(EVALUATED)


class Plain(nn.Module):
    """The same weights the way the paper's code runs them.

    Hugging Face's own forward over a batch padded by its feature extractor, without an attention
    mask for the sound (wav2vec2-base takes none), pooled over padding and all.
    """

    def __init__(self, model: MoodlineModel) -> None:
        super().__init__()
        self.acoustic, self.text = model.acoustic.encoder, model.text.encoder
        self.head = model.head

    def forward(self, audio: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        sound = self.acoustic(audio).last_hidden_state.mean(1, keepdim=True)
        words = self.text(ids, attention_mask=mask).last_hidden_state.mean(1, keepdim=True)
        one = torch.ones(len(audio), dtype=torch.int64)
        logits = self.head(sound, one, words, one).logits
        assert logits is not None
        return logits


def plain_batch(clips: Sequence[Clip], tokenizer: Tokenizer) -> tuple[Tensor, Tensor, Tensor]:
    from transformers import Wav2Vec2FeatureExtractor

    extract = Wav2Vec2FeatureExtractor(do_normalize=True)
    audio = extract(
        [sound for sound, _ in clips], sampling_rate=16_000, padding=True, return_tensors="pt"
    ).input_values
    ids = [torch.tensor(tokenizer.encode(text).ids) for _, text in clips]
    padded = pad_sequence(ids, batch_first=True, padding_value=1)
    return audio, padded, (padded != 1).long()


def test_evaluation(
    benchmark: BenchmarkFixture,
    model: MoodlineModel,
    tokenizer: Tokenizer,
    clips: list[Clip],
    tmp_path: Path,
) -> None:
    """Evaluation of a mixed-length set, as it is shipped for a CPU; the target is twice as fast."""
    export_onnx(model, tmp_path / "model.onnx")
    graph = OnnxModel(tmp_path / "model.onnx", arena=True)
    plain = Plain(model)
    theirs: list[Tensor] = []

    @torch.inference_mode()
    def loop() -> None:
        for i in range(0, len(clips), 16):
            logits = plain(*plain_batch(clips[i : i + 16], tokenizer))
            theirs.append(logits.softmax(-1))

    plain_took = timed(loop)
    ours: list[np.ndarray] = []

    def work() -> None:
        ours.append(predict(graph, clips, tokenizer=tokenizer)[0])

    took = benchmark.pedantic(timed, (work,), rounds=1)
    alone, _ = predict(model, clips, batch_size=1, tokenizer=tokenizer)
    together, _ = predict(model, clips, batch_size=8, tokenizer=tokenizer)
    error = max(np.abs(ours[0] - alone).max(), np.abs(together - alone).max())
    moved = np.abs(torch.cat(theirs).numpy() - alone).max()
    report(f"evaluation of {len(clips)} clips", took, plain_took)
    print(f"difference to each clip alone: ours {error:.1e}, the plain loop's padding {moved:.1e}")
    assert error < 1e-4


def items_of(clips: Sequence[Clip], model: MoodlineModel, tokenizer: Tokenizer) -> list[Item]:
    config = model.config
    windows = clip_windows(clips, tokenizer, config.max_samples, config.max_tokens)
    return [
        {
            "acoustic": window.audio,
            "text": np.array(window.input_ids),
            "label": number % 4,
            "turn": number,
            "weight": 1.0,
        }
        for number, window in enumerate(windows)
    ]


def test_a_frozen_epoch_after_the_first(
    benchmark: BenchmarkFixture,
    model: MoodlineModel,
    tokenizer: Tokenizer,
    clips: list[Clip],
    tmp_path: Path,
) -> None:
    """An epoch over kept states against one that encodes again; the target is 50 times as fast."""
    states: list[Item] = []

    def encode() -> None:
        for item in items_of(clips, model, tokenizer):
            arrays = (item["acoustic"], item["text"])
            lengths = [torch.tensor([len(x)]) for x in arrays]
            with torch.inference_mode():
                acoustic, frames, text, _ = model.encode(
                    torch.from_numpy(arrays[0])[None], lengths[0],
                    torch.from_numpy(arrays[1])[None], lengths[1],
                )  # fmt: skip
            pooled = acoustic[:, : int(frames)].mean(1).numpy(), text.mean(1).numpy()
            states.append({**item, "acoustic": pooled[0], "text": pooled[1]})

    encoding = timed(encode)

    def epochs(count: int) -> Took:
        profile = train_step(epochs=count, patience=count, batch_size=16)
        with one_thread():
            return timed(
                lambda: fit(
                    model.head,
                    training=states,
                    validation=states[:8],
                    profile=profile,
                    work=tmp_path / "work",
                    on_epoch=lambda _: None,
                    checkpoint_seconds=30.0,
                )
            )

    epochs(1)
    # The difference leaves out what is done once.
    few = epochs(2)
    many = benchmark.pedantic(epochs, (12,), rounds=1)
    ours = Took((many.wall - few.wall) / 10, (many.cpu - few.cpu) / 10)
    again = Took(encoding.wall + ours.wall, encoding.cpu + ours.cpu)
    print(f"\na frozen epoch: {ours.wall:.2f} s, one that encodes again: {again.wall:.1f} s")
    report(f"frozen epoch of {len(clips)} clips, base size", ours, again)


def test_fine_tuning(benchmark: BenchmarkFixture, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Fine-tuning steps with batch 8; the target is 1.3 times as many a second.

    Of each encoder six of the twelve layers: whole ones take the plain loop over 20 GB.
    """
    model = base_size(layers=6)
    clips = make_clips(FITTED)
    items = items_of(clips, model, tokenizer)
    labels = torch.tensor([item["label"] for item in items])
    profile = train_step(freeze_encoders=False, epochs=2, batch_size=8, learning_rate=1e-6)
    ends: list[tuple[float, float]] = []

    def ours() -> None:
        # One clip is validated: that is not what is timed.
        fit(
            model,
            training=items,
            validation=items[:1],
            profile=profile,
            work=tmp_path / "work",
            on_epoch=lambda _: ends.append((time.perf_counter(), time.process_time())),
            checkpoint_seconds=1e9,
        )

    benchmark.pedantic(ours, rounds=1)
    # Its optimizer and gradients are gigabytes.
    model.zero_grad()
    gc.collect()
    # The second epoch: what is done once is left out.
    took = Took(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
    # Hugging Face's own forward needs its weight for masking again.
    model.acoustic.encoder.config.mask_time_prob = 0.0
    plain = Plain(model).train()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-6)

    def loop() -> None:
        order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0)).tolist()
        for start in range(0, len(order), 8):
            chosen = order[start : start + 8]
            logits = plain(*plain_batch([clips[i] for i in chosen], tokenizer))
            nn.functional.cross_entropy(logits, labels[chosen]).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    plain_took = timed(loop)
    report(f"{len(clips) // 8} fine-tuning steps of 8", took, plain_took)
