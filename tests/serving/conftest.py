"""A model small enough to be made on the spot, with the real model's signature."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from components.config import Settings, TrainStep, load_profile
from components.conversation import DEFAULT_LABELS, read_audio
from serving.lineup import Served
from serving.settings import ServeSettings
from serving.supervisor.serve import Serving
from serving.triton.environment import TritonEnvironment
from serving.triton.repository import export_version, serve_versions
from serving.triton.server import TritonServer
from tests.serving import steered
from tests.serving.helpers import LEASE, MEGABYTES, SECONDS, SHORT, wav

WORDS = 50
WIDTH = 8

# Means over the real samples and tokens only: what stands behind a clip must not count.
GRAPH = """
<ir_version: 8, opset_import: ["" : 18]>
tiny (float[B, T] audio, int64[B] audio_lengths, int64[B, L] input_ids, int64[B] text_lengths)
  => (float[B, K] probabilities, float[B, 8] embedding)
{
  zero = Constant <value_int: int = 0> ()
  one = Constant <value_int: int = 1> ()
  columns = Constant <value_ints: ints = [1]> ()
  last = Constant <value_ints: ints = [2]> ()
  samples = Shape <start: int = 1, end: int = 2> (audio)
  samples_n = Squeeze (samples)
  places = Range (zero, samples_n, one)
  lengths = Unsqueeze (audio_lengths, columns)
  heard = Less (places, lengths)
  heard_f = Cast <to: int = 1> (heard)
  sound = Mul (audio, heard_f)
  n = Cast <to: int = 1> (lengths)
  total = ReduceSum (sound, columns)
  mean = Div (total, n)
  squares = Mul (sound, sound)
  power_total = ReduceSum (squares, columns)
  power = Div (power_total, n)
  tokens = Shape <start: int = 1, end: int = 2> (input_ids)
  tokens_n = Squeeze (tokens)
  token_places = Range (zero, tokens_n, one)
  text_columns = Unsqueeze (text_lengths, columns)
  read = Less (token_places, text_columns)
  read_f = Cast <to: int = 1> (read)
  read_3 = Unsqueeze (read_f, last)
  words = Gather (table, input_ids)
  read_words = Mul (words, read_3)
  words_total = ReduceSum <keepdims: int = 0> (read_words, columns)
  m = Cast <to: int = 1> (text_columns)
  text = Div (words_total, m)
  both = Concat <axis: int = 1> (mean, power, text)
  embedding = MatMul (both, mix)
  scores = MatMul (embedding, head)
  probabilities = Softmax <axis: int = 1> (scores)
}
"""


# The same answers by way of large arrays in between, as a speech encoder has them.
LARGE = GRAPH.replace(
    "squares = Mul (sound, sound)",
    """sound_3 = Unsqueeze (sound, last)
  spread = Constant <value_floats: floats = [1, 1, 1, 1, 1, 1, 1, 1]> ()
  wide = Mul (sound_3, spread)
  wide_squares = Mul (wide, wide)
  squares = ReduceMean <keepdims: int = 0> (wide_squares, last)""",
)


def tiny_tokenizer() -> Tokenizer:
    """Every word is one token, most of them the unknown one."""
    words = {word: i for i, word in enumerate(("[CLS]", "[SEP]", "[UNK]", "a", "hello", "yes"))}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    ends = [("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])]
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def tiny_model(
    folder: Path, seed: int, graph: str = GRAPH, labels: Sequence[str] = DEFAULT_LABELS
) -> Path:
    """A model folder with `model.onnx` and golden clips, its weights from a seed."""
    dice = np.random.default_rng(seed)
    weights = {
        "table": dice.normal(size=(WORDS, 6)),
        "mix": dice.normal(size=(8, WIDTH)),
        "head": dice.normal(size=(WIDTH, len(labels))),
    }
    model = onnx.parser.parse_model(graph.replace("[B, K]", f"[B, {len(labels)}]"))
    for name, values in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype("f4"), name))
    facts = {"emotions": ",".join(labels), "max_samples": "480000", "max_tokens": "64"}
    onnx.helper.set_model_props(model, facts)
    folder.mkdir(parents=True)
    made_with = TrainStep.of(load_profile("tiny"))
    (folder / "profile.json").write_text(made_with.model_dump_json(), encoding="utf-8")
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    onnx.save(model, folder / "model.onnx")
    golden, answers = {}, []
    for number in range(2):
        audio, ids = make_clip(seed + number)
        golden[f"audio.{number}"], golden[f"input_ids.{number}"] = audio, ids
        answers.append(run_alone(folder, audio, ids)[0])
    save_file(golden | {"probabilities": np.stack(answers)}, folder / "golden.safetensors")
    return folder


def make_clip(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound of 0.2–6 s and 1–30 tokens."""
    dice = np.random.default_rng(seed)
    audio = dice.normal(size=int(dice.integers(3_200, 96_000))).astype("f4")
    return audio * 0.3, dice.integers(0, WORDS, size=int(dice.integers(1, 30)))


def run_alone(folder: Path, audio: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One clip's probabilities and embedding by onnxruntime, with nothing beside it."""
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    feed = {
        "audio": audio[None],
        "audio_lengths": np.array([len(audio)]),
        "input_ids": ids[None].astype(np.int64),
        "text_lengths": np.array([len(ids)]),
    }
    probabilities, embedding = session.run(["probabilities", "embedding"], feed)
    return probabilities[0], embedding[0]


@pytest.fixture(scope="session")
def make_model() -> Callable[[Path, int], Path]:
    """`tiny_model`: a folder and a seed give a model folder."""
    return tiny_model


@pytest.fixture(scope="session")
def clip() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """`make_clip`: a seed gives sound and token ids."""
    return make_clip


@pytest.fixture(scope="session")
def alone() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`run_alone`: a model folder, sound and token ids give probabilities and embedding."""
    return run_alone


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Three model folders by version number."""
    root = tmp_path_factory.mktemp("models")
    return {version: tiny_model(root / f"model-{version}", seed=version) for version in (3, 4, 5)}


@pytest.fixture(scope="module")
def triton(
    models: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A real tritonserver that serves version 3."""
    root = tmp_path_factory.mktemp("triton")
    environment = TritonEnvironment(Settings().triton_env.resolve())
    export_version(models[3], root / "repository", 3)
    serve_versions(root / "repository", [3], steered.HOST)
    with TritonServer(environment, root / "repository", root / "tritonserver.log") as server:
        server.control.load()
        yield server


@pytest.fixture(scope="session")
def sample(sample_dir: Path) -> bytes:
    """Half a minute of two real people: a long recording here."""
    return (sample_dir / "sample.wav").read_bytes()


@pytest.fixture(scope="session")
def piece(sample_dir: Path) -> bytes:
    """A few seconds of it, for what needs some speech only."""
    return wav(read_audio(sample_dir / "sample.wav", 22, 28))


@pytest.fixture(scope="session")
def service(
    models: dict[int, Path], models_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """The whole service, real speech models and Triton included, small limits."""
    home = tmp_path_factory.mktemp("my service #1, 50%20 für ?")
    (home / "tmp").mkdir()
    settings = Settings(
        home=home,
        models=models_home,
        triton_env=Settings().triton_env,
        max_upload_megabytes=MEGABYTES,
        max_seconds=SECONDS,
    )
    serve = ServeSettings(waiting=1, short_seconds=SHORT, job_lease=LEASE, voice_prints=True)
    model = Served(3, models[3])
    running = Serving(settings, load_profile("tiny"), port=0, model=model, serve=serve)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(home / "tmp"))  # to see what it leaves there
        running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[TritonServer]]:
    """Two Tritons that share a repository."""
    with ExitStack() as stack:
        repository, logs = tmp_path / "repository", (tmp_path / f"{i}.log" for i in range(2))
        yield [stack.enter_context(steered.triton(repository, log)) for log in logs]
