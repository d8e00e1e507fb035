"""Training a retriever on mined pairs: begun once, gone on with exactly, finished whole."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.embedders.embed import embedder
from llmaug.embedders.sentence import SentenceEmbedder, quietly
from llmaug.errors import MissingExtra, ModelError, RetrievalError
from llmaug.journal import explained
from llmaug.training.batches import Course
from llmaug.training.folder_lock import locked
from llmaug.training.learnable import check_pairs, digest, rows_of
from llmaug.training.mined import MinedPair
from llmaug.training.settings import TrainingSettings
from llmaug.training.training_folder import (
    CHECKPOINTS,
    Trained,
    finish,
    finished,
    flat,
    settle,
)

if TYPE_CHECKING:
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainingArguments,
    )

    from llmaug.training.trainer import Progress, RetrieverTrainer

PACKAGES = ("sentence_transformers", "accelerate", "datasets")

log = logging.getLogger("llmaug")


def train(
    base: str | Path,
    mined: Sequence[MinedPair],
    *,
    documents: Callable[[str], str],
    settings: TrainingSettings,
    folder: str | Path,
    known: Mapping[str, Collection[str]] | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a sentence-transformers folder, or a model by its short name, on mined pairs.

    `documents` gives what is embedded of a document, by its id; `known` all documents that are
    known to answer a query, by its id. The folder then holds the `model`, which anything loads as
    it loads the base, and the last checkpoint. Called again, it goes on after the last checkpoint
    and ends with the same model as if it had never stopped, bit for bit on the CPU; base, pairs,
    documents, settings and number of processes must be the same, else `ResumeRefused`, unless
    `fresh` empties the folder. Ctrl-C leaves nothing torn. Raises `RunBusy` while another training
    works in the folder.

    A model that reads tokens one by one sees `query_tokens` and `document_tokens` of a text at
    most; a static one sees all. Under torchrun every process calls this with the same arguments,
    and the first one writes. `progress` is told the steps done, all steps and the loss. Global
    random states are set. Raises `RetrievalError` for pairs that nothing can be learned from, and
    where the loss or a gradient is no number.
    """
    folder = Path(folder)
    check_pairs(mined, settings)
    _require_packages()
    from llmaug.training.trainer import arguments

    found = _local(base)
    told = arguments(settings, folder / CHECKPOINTS)
    asked = {
        "base": found.fingerprint,
        "prompts": {side: found.prompt(side) for side in ("query", "document")},
        "pairs": digest(mined, documents, known=known or {}),
        "processes": told.world_size,
        **flat(asdict(settings)),
    }
    with _alone(folder, told):
        with told.distributed_state.main_process_first():
            settle(folder, asked, fresh=fresh and told.process_index == 0)
        if done := finished(folder):
            return done
        trainer = _trainer(
            found,
            mined,
            documents=documents,
            settings=settings,
            known=known,
            told=told,
            progress=progress,
        )
        _go(trainer, folder)
        return finish(trainer, folder)


def needs_check(settings: TrainingSettings) -> bool:
    """Whether not every model can be trained with these settings."""
    asked = settings.loss.matryoshka, settings.lora_rank, settings.modulation != "none"
    return any(asked)


def check_trainable(base: Path, settings: TrainingSettings) -> None:
    """Raise `PlanError` where a sentence-transformers folder cannot be trained with the settings.

    Loads the model: too few dimensions for `matryoshka`, no attention for LoRA, or no place for
    a modulation shows only there.
    """
    _require_packages()
    from llmaug.training.losses import RetrievalLoss

    RetrievalLoss(_model(base, settings, device="cpu"), settings.loss)


@contextlib.contextmanager
def _alone(folder: Path, told: SentenceTransformerTrainingArguments) -> Iterator[None]:
    """No other training in the folder; the first process locks it for all of its own."""
    with contextlib.ExitStack() as stack:
        if told.process_index == 0:
            with explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
            stack.callback(os.close, locked(folder))
        yield


def _require_packages() -> None:
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), "train")


def _local(base: str | Path) -> SentenceEmbedder:
    found = embedder(str(base))
    if not isinstance(found, SentenceEmbedder):
        raise ModelError(f"{base} has no weights here to train; name a folder, or minilm")
    return found


def _trainer(
    base: SentenceEmbedder,
    mined: Sequence[MinedPair],
    *,
    documents: Callable[[str], str],
    settings: TrainingSettings,
    known: Mapping[str, Collection[str]] | None,
    told: SentenceTransformerTrainingArguments,
    progress: Progress | None,
) -> RetrieverTrainer:
    from llmaug.training.collator import Collator
    from llmaug.training.losses import RetrievalLoss
    from llmaug.training.trainer import RetrieverTrainer

    course = Course(rows_of(mined), settings, processes=told.world_size, process=told.process_index)
    if not course.steps:
        raise RetrievalError(
            f"{len(mined)} pairs are too few for {told.world_size} processes; start fewer"
        )
    model = _model(base.folder, settings, device=str(told.device))
    prompts = {side: base.prompt(side) for side in ("query", "document")}
    collator = Collator(
        model, mined, documents=documents, settings=settings, prompts=prompts, known=known
    )
    return RetrieverTrainer(
        model,
        RetrievalLoss(model, settings.loss),
        course=course,
        collator=collator,
        settings=settings,
        arguments=told,
        progress=progress,
    )


def _model(folder: Path, settings: TrainingSettings, *, device: str) -> SentenceTransformer:
    """The base in full precision, with what is trained beside its own weights."""
    import torch

    from llmaug.embedders.loading import load_retriever
    from llmaug.training.lora import add_lora
    from llmaug.training.modules import add_modulation

    torch.manual_seed(settings.seed)  # of the loss's head: the same in all processes
    try:
        with quietly("torch"):
            options = {"use_safetensors": True, "dtype": torch.float32}
            model = load_retriever(folder, device=device, model_kwargs=options)
    except Exception as error:  # a foreign folder can break in any way inside the library
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{folder} does not load: {said}") from error
    add_lora(model, rank=settings.lora_rank, alpha=settings.lora_alpha, seed=settings.seed)
    add_modulation(model, settings)
    return model


def _go(trainer: RetrieverTrainer, folder: Path) -> None:
    from llmaug.training.checkpoints import newest

    last = newest(folder / CHECKPOINTS)
    try:
        trainer.run(last)
    except KeyboardInterrupt:
        last = newest(folder / CHECKPOINTS)
        log.warning(
            "interrupted after %d of %d steps; the same call goes on from %s",
            len(trainer.losses),
            trainer.course.steps,
            last.name if last else "the beginning",
        )
        raise
