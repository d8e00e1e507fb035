"""Training a retriever on mined pairs: begun once, gone on with exactly, finished whole."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.embedders.embed import embedder
from llmaug.embedders.sentence import SentenceEmbedder, quietly
from llmaug.errors import MissingExtra, ModelError, ResumeRefused, RetrievalError, RunError
from llmaug.formats.atomic import new_file, new_folder, sync
from llmaug.training.batches import Course
from llmaug.training.learnable import check_pairs, digest, rows_of
from llmaug.training.mined import MinedPair
from llmaug.training.settings import TrainingSettings

if TYPE_CHECKING:
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainingArguments,
    )

    from llmaug.training.trainer import Progress, RetrieverTrainer

MANIFEST, FINISHED, MODEL, CHECKPOINTS = "training.json", "trained.json", "model", "checkpoints"
PACKAGES = ("sentence_transformers", "accelerate", "datasets")

log = logging.getLogger("llmaug")


class Trained(NamedTuple):
    """A finished training, over all its sessions.

    `losses` has a number for each step, the mean over the processes. `pairs` counts a pair as
    often as it was trained on.
    """

    model: Path
    steps: int
    losses: tuple[float, ...]
    pairs: int
    seconds: float

    @property
    def pairs_per_second(self) -> float:
        return self.pairs / self.seconds


def train(
    base: str | Path,
    mined: Sequence[MinedPair],
    *,
    documents: Callable[[str], str],
    settings: TrainingSettings,
    folder: Path,
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
    `fresh` empties the folder. Ctrl-C leaves nothing torn.

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
        **_flat(asdict(settings)),
    }
    with told.distributed_state.main_process_first():
        _settle(folder, asked, fresh=fresh and told.process_index == 0)
    if (folder / FINISHED).exists():
        return _read(folder)
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
    if told.process_index == 0:
        _finish(trainer, folder)
    told.distributed_state.wait_for_everyone()
    return _read(folder)


def _require_packages() -> None:
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), "train")


def _local(base: str | Path) -> SentenceEmbedder:
    found = embedder(str(base))
    if not isinstance(found, SentenceEmbedder):
        raise ModelError(f"{base} has no weights here to train; name a folder, or minilm")
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names, but for the one that changes nothing of the result."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name != "checkpoint":
            flat[prefix + name] = value
    return flat


def _settle(folder: Path, asked: dict[str, Any], *, fresh: bool) -> None:
    """Write what is asked of a new folder, or compare it with what was asked of an old one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            for name in (MODEL, CHECKPOINTS):
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in (FINISHED, MANIFEST):
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    path, new = folder / MANIFEST, json.loads(json.dumps(asked))
    begun = (folder / CHECKPOINTS).exists() or (folder / MODEL).exists()
    if not begun:
        with new_file(path) as unfinished:
            unfinished.write_text(json.dumps(new, indent=1))
        return
    try:
        old = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        raise RunError(f"{path} cannot be read; train with fresh=True to start anew") from None
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            raise ResumeRefused(
                f"{folder} was begun with {name} {old.get(name)!r}, not {new.get(name)!r}: give "
                "the same, name another folder, or train with fresh=True"
            )


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


def _finish(trainer: RetrieverTrainer, folder: Path) -> None:
    from llmaug.training.lora import merged

    with new_folder(folder / MODEL, ours=lambda name: True) as unfinished:
        with quietly("torch"):
            merged(trainer.model).save(str(unfinished), create_model_card=False)
        for file in unfinished.rglob("*"):
            sync(file)
    with new_file(folder / FINISHED) as unfinished:
        told = {"losses": trainer.losses, "pairs": trainer.pairs, "seconds": trainer.seconds}
        unfinished.write_text(json.dumps(told))


def _read(folder: Path) -> Trained:
    path = folder / FINISHED
    try:
        told = json.loads(path.read_bytes())
        losses = tuple(map(float, told["losses"]))
        return Trained(folder / MODEL, len(losses), losses, told["pairs"], told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{path} cannot be read; train with fresh=True to start anew") from None
