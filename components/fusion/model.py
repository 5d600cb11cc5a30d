"""The model whole: waveforms and token ids in, emotions out."""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from components.base import InputError
from components.fusion.acoustic import (
    NO_SPEECH,
    acoustic_encoder,
    load_acoustic_encoder,
    normalizes_audio,
)
from components.fusion.config import MoodlineConfig
from components.fusion.frontend import length_mask, masked_mean
from components.fusion.head import MoodlineHead, MoodlineOutput
from components.fusion.pooling import masked_statistics, pool

NO_TEXT = (
    "text encoder: {} is not supported; use an encoder like roberta, bert, mpnet, distilbert,"
    " electra or deberta"
)


class TextTokens(nn.Module):
    """Any Hugging Face text encoder over the real tokens of a padded batch."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        architecture: Any = AutoModel._model_mapping[type(config)]
        # A pooler would be a weight that nothing trains and nothing reads.
        pooler = {"add_pooling_layer"} & inspect.signature(architecture).parameters.keys()
        self.encoder: Any = AutoModel.from_config(config, **dict.fromkeys(pooler, False))
        self.padding = config.pad_token_id or 0

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, L] ids and [B] lengths → states [B, L, d_t]; what the padding holds is ignored."""
        mask = length_mask(lengths, input_ids.shape[1])
        ids = torch.where(mask, input_ids, self.padding)
        return self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state


class MoodlineModel(PreTrainedModel):
    """Speech encoder + text encoder + gated cross-attention head (`components.fusion.head`).

    Inputs are a clip's waveform (mono, 16 kHz) and its token ids, padded on the right to the
    batch's longest, with their true lengths. An answer never depends on the rest of the batch.
    """

    config_class = MoodlineConfig
    base_model_prefix = "moodline"
    main_input_name = "audio"
    supports_gradient_checkpointing = True
    config: MoodlineConfig

    def __init__(self, config: MoodlineConfig) -> None:
        super().__init__(config)
        acoustic, text = config.acoustic_config(), config.text_config()
        self.acoustic = acoustic_encoder(
            acoustic, config.normalize_audio, config.use_weighted_layer_sum
        )
        self.text = TextTokens(text)
        self.head = MoodlineHead(config, text.hidden_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """The head's layers initialise themselves, as torch does; encoders do by their own rule."""

    @classmethod
    def from_encoders(
        cls,
        acoustic: str,
        text: str,
        *,
        acoustic_layers: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> "MoodlineModel":
        """Pretrained encoders under a fresh head.

        Args:
            acoustic, text: the speech and the text encoder: a folder or a hub name.
            acoustic_layers: how many of the speech encoder's Transformer layers are used, from
                below; None takes all. Its upper layers know words rather than how they are said.
            seed: of the head's first weights.
            settings: of `MoodlineConfig`.

        Raises:
            InputError: an encoder that is not there or not of a supported kind.
        """
        configs = []
        for kind, name in (("speech", acoustic), ("text", text)):
            try:
                configs.append(AutoConfig.from_pretrained(name))
            except (OSError, ValueError) as error:
                reason = str(error).strip().splitlines()[0]
                raise InputError(f"{name}: no such {kind} encoder: {reason}") from error
        keep_layers(configs[0], acoustic, acoustic_layers)
        pretrained_text, limit = load_text_encoder(text, configs[1].model_type)
        config = MoodlineConfig(
            acoustic=_portable(configs[0]),
            text=_portable(configs[1]),
            max_tokens=min(limit, text_positions(configs[1])),
            normalize_audio=normalizes_audio(acoustic),
            **settings,
        )
        torch.manual_seed(seed)
        model = cls(config)
        speech = load_acoustic_encoder(acoustic, configs[0])
        model.acoustic.encoder.load_state_dict(speech.state_dict(), strict=False)
        model.text.encoder.load_state_dict(pretrained_text.state_dict(), strict=False)
        return check_encoders(model.eval())

    def encode(
        self, audio: Tensor, audio_lengths: Tensor, input_ids: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Both encoders' states and the counts of their real positions, as the head takes them.

        Returns:
            States [B, F, d_a], frames [B], states [B, L, d_t], tokens [B]; with `attend: pooled`
            one vector in the place of each clip's frames and of its tokens.
        """
        return self._pool(*self._states(audio, audio_lengths, input_ids, text_lengths))

    def encode_and_probe(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        input_ids: Tensor,
        text_lengths: Tensor,
        *,
        text_states: Tensor | None = None,
    ) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """What `encode` gives, and from the same pass the features of a linear probe.

        Args:
            audio, audio_lengths, input_ids, text_lengths: as of `forward`.
            text_states: [B, L, d_t], where they are known, or their means [B, 1, d_t]; then
                `input_ids` is not read, and `text_lengths` counts these states.

        Returns:
            As `encode`; and [B, f]: means and deviations of all the speech encoder's layers, then
            the mean of the text's states, whatever of these the head takes.
        """
        states, frames, text_states, tokens = self._states(
            audio, audio_lengths, input_ids, text_lengths, all_layers=True, text_states=text_states
        )
        probe = torch.cat([masked_statistics(states, frames), masked_mean(text_states, tokens)], -1)
        if not self.config.use_weighted_layer_sum:
            states = states[..., -int(self.config.acoustic_config().hidden_size) :]
        return self._pool(states, frames, text_states, tokens), probe

    def _states(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        input_ids: Tensor,
        text_lengths: Tensor,
        *,
        all_layers: bool = False,
        text_states: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not torch.jit.is_tracing() and not torch.compiler.is_compiling():
            self._check(audio, input_ids)
        audio_lengths = audio_lengths.clamp_min(1)
        text_lengths = text_lengths.clamp_min(1)
        # What the padding holds must not matter, to the clips beside it either.
        audio = torch.where(length_mask(audio_lengths, audio.shape[1]), audio, 0.0)
        states, frames = self.acoustic(audio, audio_lengths, all_layers=all_layers)
        if text_states is None:
            text_states = self.text(input_ids, text_lengths)
        return states, frames, text_states, text_lengths

    def _pool(
        self, states: Tensor, frames: Tensor, words: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.config.attend == "pooled":
            pooling, layers = self.config.pooling, self.config.acoustic_layers
            states = pool(states, frames, pooling, layers)[:, None]
            words = masked_mean(words, text_lengths)[:, None]
            frames, text_lengths = torch.ones_like(frames), torch.ones_like(text_lengths)
        return states, frames, words, text_lengths

    def forward(
        self,
        audio: Tensor,
        audio_lengths: Tensor,
        input_ids: Tensor,
        text_lengths: Tensor,
    ) -> MoodlineOutput:
        """Classify a batch of clips.

        Args:
            audio, audio_lengths: float32 [B, T] at 16 kHz, and int64 [B] samples.
            input_ids, text_lengths: int64 [B, L] with special tokens, and [B] tokens.
        """
        return self.head(*self.encode(audio, audio_lengths, input_ids, text_lengths))

    def _check(self, audio: Tensor, input_ids: Tensor) -> None:
        for what, size, limit in (
            (f"a clip of {audio.shape[1]} samples", audio.shape[1], self.config.max_samples),
            (f"a text of {input_ids.shape[1]} tokens", input_ids.shape[1], self.config.max_tokens),
        ):
            if size > limit:
                raise InputError(
                    f"{what}: the model takes {limit}; cut it into windows (clip_windows)"
                )


def _portable(config: PretrainedConfig) -> dict[str, Any]:
    """A configuration without where and by which version it was saved."""
    values = config.to_diff_dict()
    return {k: v for k, v in values.items() if k not in ("_name_or_path", "transformers_version")}


def keep_layers(config: PretrainedConfig, name: str, count: int | None) -> None:
    """Cut an encoder's configuration to its lowest `count` layers; None leaves it whole."""
    key = "encoder_layers" if config.model_type == "whisper" else "num_hidden_layers"
    whole = getattr(config, key)
    if count is not None and not 1 <= count <= whole:
        raise InputError(f"{name}: has {whole} layers; {count} of them cannot be used")
    setattr(config, key, count or whole)


def load_text_encoder(name: str, kind: str) -> tuple[PreTrainedModel, int]:
    """The pretrained weights of a text encoder and the most tokens its tokenizer gives.

    Raises:
        InputError: it has none, or no tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        limit = AutoTokenizer.from_pretrained(name).model_max_length
        return AutoModel.from_pretrained(name), limit
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(NO_TEXT.format(kind)) from error


@torch.inference_mode()
def check_encoders(model: MoodlineModel) -> MoodlineModel:
    """The model, if its encoders answer for a clip beside a longer one as for the clip alone.

    Some architectures let padding in (data2vec's positional convolutions) or have no encoder that
    goes by itself (T5); the architecture's name does not tell, so it is tried.

    Raises:
        InputError: an encoder that does not fit.
    """
    noise = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    audio, samples = 0.1 * noise, torch.tensor([8000, 3000])
    ids, tokens = torch.tensor([[3, 4, 5, 6, 7], [3, 4, 5, 0, 0]]), torch.tensor([5, 3])
    for part, error, rows, lengths in (
        (model.acoustic, NO_SPEECH.format(model.config.acoustic["model_type"]), audio, samples),
        (model.text, NO_TEXT.format(model.config.text["model_type"]), ids, tokens),
    ):
        try:
            together = part(rows, lengths)
            alone = part(rows[1:, : lengths[1]], lengths[1:])
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as cause:
            raise InputError(error) from cause
        if isinstance(together, tuple):
            together, alone, count = together[0], alone[0], int(alone[1])
        else:
            count = int(lengths[1])
        if together.shape[1] < count or alone.shape[1] < count:
            raise InputError(error)
        # Rounding moves states by a ten-thousandth of their size; padding let in, by a tenth.
        scale = float(alone.abs().max().clamp_min(1.0))
        if not (together[1, :count] - alone[0, :count]).abs().max() < 1e-2 * scale:
            raise InputError(error)
    return model


def text_positions(config: PretrainedConfig) -> int:
    """The most tokens a text encoder has positions for."""
    positions = getattr(config, "max_position_embeddings", 512)
    # RoBERTa's kind counts positions from the padding token's index on.
    offset = "roberta" in config.model_type or config.model_type in ("camembert", "mpnet")
    return positions - (config.pad_token_id or 0) - 1 if offset else positions


def load_model(folder: Path) -> MoodlineModel:
    """Load a model version's folder, for inference.

    Raises:
        InputError: no model there, one of another architecture, or weights that do not fit it.
    """
    folder = Path(folder)
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no model (config.json is missing)") from None
    except (ValueError, AttributeError):
        raise InputError(f"{folder / 'config.json'}: is not a model's configuration") from None
    if kind != MoodlineConfig.model_type:
        raise InputError(f"{folder}: is a {kind} checkpoint, not a Moodline model")
    try:
        # Sizes that do not fit are reported below, in one line, with whatever else does not.
        options = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        model, info = MoodlineModel.from_pretrained(folder, use_safetensors=True, **options)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{folder}: its weights cannot be loaded: {reason}") from error
    for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[fault]:
            first = sorted(str(key) for key in info[fault])[0]
            raise InputError(
                f"{folder}: weights of another architecture ({fault.replace('_', ' ')}: {first})"
            )
    return model.eval()
