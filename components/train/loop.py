"""The training loop: Hugging Face's Trainer over cached states or over sound and words."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from scipy.special import softmax
from torch import Tensor, nn
from transformers import EvalPrediction, PrinterCallback, TrainingArguments

from components.config import TrainStep
from components.scoring import classification
from components.scoring.classification import accuracy, macro_f1, uar
from components.train.checkpoints import EpochKeeper, last_whole_checkpoint, read_history
from components.train.faults import read_faults
from components.train.processes import precision, share_of_batch, under_torchrun, world_size
from components.train.trainer import EpochItems, WindowTrainer
from components.train.version import History
from components.train.windows import Columns, Item, columns_of

logger = logging.getLogger(__name__)


def fit(
    module: nn.Module,
    *,
    training: Sequence[Item],
    validation: Sequence[Item],
    profile: TrainStep,
    work: Path,
    on_epoch: Callable[[History], None],
    checkpoint_seconds: float,
    vary: Callable[[int, int], Item] | None = None,
    readers: int = 0,
) -> History:
    """Fit a module and leave it with the weights of its best epoch on the validation part.

    A killed run goes on from the last whole checkpoint in `work`, to the same result. Under
    `torchrun` every process calls this function. The processes share each batch and the
    validation, and all of them end with the same weights.

    Args:
        module: a `MoodlineHead` over states, or a whole `MoodlineModel`.
        validation: windows whose turns choose the epoch.
        work: a folder for checkpoints, which the caller removes; every process sees the same.
        on_epoch: as of `EpochKeeper`.
        checkpoint_seconds: the least time between two checkpoints; with 0 every epoch has one.
        vary: as of `EpochItems`; None: every epoch has the training windows as they are.
        readers: processes that read windows while this one computes; 0: it reads them itself.

    Returns:
        One entry an epoch: losses, rates, the validation's scores.

    Raises:
        InputError: a batch that cannot be shared out, a precision that is not supported here, or
            sound that cannot be read or was changed.
        Unavailable: a process that reads windows was killed.
    """
    settings, classes, labels = profile.train, len(profile.labels), columns_of(training).labels
    keeper = EpochKeeper(
        module, settings.patience, checkpoint_seconds, on_epoch, settings.metric_for_best_model
    )
    trainer = WindowTrainer(
        model=module,
        args=_arguments(module, profile, work, readers),
        train_dataset=EpochItems(training, vary) if vary else training,
        eval_dataset=validation,
        compute_metrics=_turn_scores(columns_of(validation), profile.labels),
        callbacks=[keeper],
        batch_size=settings.batch_size,
        encoder_rate=settings.encoder_learning_rate,
        class_weights=_class_weights(labels, classes) if settings.class_weights else None,
        accumulate=settings.accumulate,
    )
    trainer.remove_callback(PrinterCallback)
    if settings.compile:
        # Batches have other lengths each time. In place: the weights keep their names.
        module.compile(dynamic=True)
    checkpoint = last_whole_checkpoint(work)
    # Nodes without a folder in common do not see the same one: then all begin anew.
    if len(set(gather_object([checkpoint.name if checkpoint else ""]))) > 1:
        checkpoint = None
    history: History = []
    if checkpoint:
        logger.info("training goes on from %s", checkpoint.name)
        history = keeper.resume(checkpoint)
    if not history or not keeper.is_finished(history, settings.epochs):
        with warnings.catch_warnings(), read_faults():
            # Where file times are coarse, checkpoints are ordered by their numbers: that is fine.
            warnings.filterwarnings("ignore", message="mtime may not be reliable")
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        history = read_history(trainer.state)
    # Half precision is for the loop only: the model itself is exported and served.
    trainer.accelerator.unwrap_model(module, keep_fp32_wrapper=False)
    module._compiled_call_impl = None
    module.load_state_dict(keeper.best)
    module.eval()
    return history


def _arguments(
    module: nn.Module, profile: TrainStep, work: Path, readers: int
) -> TrainingArguments:
    settings = profile.train
    share = share_of_batch(settings, world_size())
    kind, gpu = precision(settings), torch.cuda.is_available()
    # The Trainer keeps its precision here, and would reuse that of an earlier training.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=share,
        per_device_eval_batch_size=share,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_ratio=0.1,
        max_grad_norm=1.0,
        seed=profile.seed,
        bf16=kind == "bf16",
        fp16=kind == "fp16",
        # A head over frozen states has no layers worth computing twice.
        gradient_checkpointing=settings.gradient_checkpointing and hasattr(module, "encode"),
        gradient_checkpointing_kwargs={"use_reentrant": False},
        use_cpu=not gpu,
        ddp_backend=("nccl" if gpu else "gloo") if under_torchrun() else None,
        ddp_find_unused_parameters=False,
        eval_strategy="epoch",
        logging_strategy="epoch",
        # `EpochKeeper` says when, and keeps the best.
        save_strategy="no",
        save_total_limit=1,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        dataloader_num_workers=readers,
        dataloader_pin_memory=False,
    )
    # Several GPUs are used by several processes, never by one (`nn.DataParallel`).
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _class_weights(labels: np.ndarray, classes: int) -> Tensor:
    """Inverse to each class's frequency, 1 on average; every class has an example."""
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / (classes * counts)).float()


def _turn_scores(
    windows: Columns, emotions: Sequence[str]
) -> Callable[[EvalPrediction], dict[str, float]]:
    """Scores of whole turns: the probabilities of a turn's windows are averaged first."""
    turns, weights = windows.turns, windows.weights
    labels = np.zeros(turns.max() + 1, dtype=int)
    labels[turns] = windows.labels

    def scores(prediction: EvalPrediction) -> dict[str, float]:
        answers = softmax(np.asarray(prediction.predictions, dtype=np.float64), axis=1)
        probabilities = np.zeros((len(labels), answers.shape[1]))
        np.add.at(probabilities, turns, weights[:, None] * answers)
        return classification_scores(labels, probabilities, emotions)

    return scores


def classification_scores(
    labels: np.ndarray, probabilities: np.ndarray, emotions: Sequence[str]
) -> dict[str, float]:
    """The scores of an epoch from labels [n] and probabilities [n, k], counted as the gate does.

    Args:
        emotions: the names of the k labels.

    Returns:
        The cross-entropy (`loss`, in nats), `accuracy`, and `unweighted_recall` and `macro_f1`
        over the emotions that occur in the labels.
    """
    answers = probabilities.argmax(axis=1)
    counts = classification(
        [emotions[i] for i in labels], [emotions[i] for i in answers], emotions
    ).counts
    of_labels = probabilities[np.arange(len(labels)), labels]
    return {
        "loss": float(-np.log(np.maximum(of_labels, np.finfo(float).tiny)).mean()),
        "accuracy": float(accuracy(counts)),
        "unweighted_recall": float(uar(counts)),
        "macro_f1": float(macro_f1(counts)),
    }
