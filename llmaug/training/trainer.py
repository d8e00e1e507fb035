"""sentence-transformers' trainer with our batches, and with checkpoints it goes on from exactly.

A torch module.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from torch import nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.trainer import TRAINER_STATE_NAME

from llmaug.embedders.modulation import LexicalModulation
from llmaug.errors import RetrievalError
from llmaug.training import checkpoints
from llmaug.training.batches import Course
from llmaug.training.settings import TrainingSettings

Progress = Callable[[int, int, float], None]


def arguments(settings: TrainingSettings, folder: Path) -> SentenceTransformerTrainingArguments:
    """What the library's trainer is told. Under torchrun, making it joins the processes."""
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        bf16=settings.bf16,
        use_cpu=not torch.accelerator.is_available(),  # else bf16 asks for a GPU
        seed=settings.seed,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_drop_last=True,  # not heeded: the course gives all processes equal batches
        ignore_data_skip=True,  # the course begins where the checkpoint ended
    )


class RetrieverTrainer(SentenceTransformerTrainer):  # type: ignore[misc]  # untyped library
    """Trains on the batches of a course; to the library, all its epochs are one.

    Gradients are averaged over the processes here and not by DistributedDataParallel, which would
    know neither of what the loss owns nor of a model that it calls many times a step. `losses`
    has one number a step, the mean over the processes; `seconds` and `pairs` count all sessions.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        loss: nn.Module,
        *,
        course: Course,
        collator: Callable[[list[int]], dict[str, Any]],
        settings: TrainingSettings,
        arguments: SentenceTransformerTrainingArguments,
        progress: Progress | None = None,
    ) -> None:
        arguments.max_steps = course.steps
        arguments._n_gpu = min(arguments.n_gpu, 1)  # a process for each GPU, or one GPU
        arguments.learning_rate_mapping = _own_rates(model, settings)
        super().__init__(model=model, args=arguments, loss=loss, data_collator=collator)
        self.processing_class = None  # which would change the tokenizer's special tokens
        self.remove_callback(PrinterCallback)
        self.add_callback(_AfterStep(self))
        self.accelerator.prepare_model = functools.partial(
            self.accelerator.prepare_model, evaluation_mode=True
        )
        self.course, self.settings = course, settings
        self.folder = Path(arguments.output_dir)
        self.progress = progress if self.args.process_index == 0 else None
        self.loss.epochs = settings.epochs
        self.whole = nn.ModuleDict({"model": model, "loss": self.loss})
        self.trained = [weight for weight in self.whole.parameters() if weight.requires_grad]
        self.losses: list[float] = []
        self.pairs = 0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since

    def run(self, checkpoint: Path | None) -> None:
        """Train to the last step, from the checkpoint on if there is one."""
        set_seed(self.settings.seed + self.args.process_index)  # of dropout
        self._since = time.monotonic()
        self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: it would look for the data on the hub."""

    def get_train_dataloader(self) -> torch.utils.data.DataLoader:
        return torch.utils.data.DataLoader(
            range(self.course.rows),
            batch_sampler=self.course,
            collate_fn=self.data_collator,
            generator=torch.Generator(),  # else it would draw from dropout's random numbers
        )

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], *_args: Any, **_kwargs: Any
    ) -> torch.Tensor:
        if not self.settings.dropout:
            model.eval()
        return self.loss(inputs["features"], inputs["label"])

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        step, processes = self.state.global_step, self.args.world_size
        self.loss.progress = step / self.state.max_steps
        self.loss.draws = step * processes + self.args.process_index
        self.pairs += len(inputs["label"]["documents"]) * processes
        loss = super().training_step(model, inputs, num_items_in_batch)
        if processes > 1:
            loss = self._averaged(loss)
        value = float(loss)
        self._must_be_finite(value, "loss")
        self.losses.append(value)
        return loss

    def _averaged(self, loss: torch.Tensor) -> torch.Tensor:
        """The mean of the loss over the processes; the gradients become theirs, too."""
        gradients = [weight.grad for weight in self.trained if weight.grad is not None]
        flat = torch.cat([parameters_to_vector(gradients), loss.reshape(1).float()])
        torch.distributed.all_reduce(flat)
        flat /= self.args.world_size
        vector_to_parameters(flat[:-1], gradients)
        return flat[-1]

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        return clip_grad_norm_(self.trained, self.args.max_grad_norm)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> float:
        if grad_norm is None:
            grad_norm = clip_grad_norm_(self.trained, math.inf)
        norm = float(grad_norm)
        self._must_be_finite(norm, "gradient")
        return norm

    def _must_be_finite(self, value: float, name: str) -> None:
        if math.isfinite(value):
            return
        last = checkpoints.newest(self.folder)
        kept = f"the last good state is in {last}" if last else "no checkpoint was written before"
        raise RetrievalError(
            f"the {name} is {value} at step {self.state.global_step + 1} of "
            f"{self.state.max_steps}, and training stopped; {kept}. Lower the learning rate or "
            "raise the temperature, and train with fresh=True"
        )

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        randoms = checkpoints.random_bytes(self.args.device).to(self.args.device)
        of_all = self.accelerator.gather(randoms[None])
        if self.args.process_index:
            return
        schedule = {**self.lr_scheduler.state_dict(), "lr_lambdas": None}
        checkpoints.write(
            self.folder,
            step=self.state.global_step,
            tensors={
                "weights": checkpoints.weights_of(self.whole),
                "optimiser": checkpoints.optimiser_tensors(self.optimizer),
                "random": {"torch": of_all},
            },
            facts={
                TRAINER_STATE_NAME: asdict(self.state),
                checkpoints.STATE: {
                    "losses": self.losses,
                    "pairs": self.pairs,
                    "seconds": self.seconds,
                    "schedule": schedule,
                    "groups": checkpoints.optimiser_groups(self.optimizer),
                    **checkpoints.random_facts(),
                },
            },
        )

    def _load_from_checkpoint(self, checkpoint: str, model: nn.Module | None = None) -> None:
        path = Path(checkpoint)
        checkpoints.restore_weights(self.whole, checkpoints.read_tensors(path, "weights"))
        facts = checkpoints.read_facts(path)
        self.losses, self.pairs = facts["losses"], facts["pairs"]
        self._since -= facts["seconds"]
        self.course.start = len(self.losses)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        facts = checkpoints.read_facts(Path(checkpoint))
        kept = checkpoints.read_tensors(Path(checkpoint), "optimiser")
        checkpoints.restore_optimiser(self.optimizer, kept, facts["groups"])
        lambdas = [None] * len(self.lr_scheduler.lr_lambdas)
        self.lr_scheduler.load_state_dict({**facts["schedule"], "lr_lambdas": lambdas})

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        of_all = checkpoints.read_tensors(Path(checkpoint), "random")["torch"]
        facts = checkpoints.read_facts(Path(checkpoint))
        checkpoints.restore_random(of_all[self.args.process_index], facts, self.args.device)


class _AfterStep(TrainerCallback):  # type: ignore[misc]
    """Tells of progress, and when a checkpoint is due."""

    def __init__(self, trainer: RetrieverTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        step, course = state.global_step, self._trainer.course
        if self._trainer.progress:
            self._trainer.progress(step, course.steps, self._trainer.losses[-1])
        every = self._trainer.settings.checkpoint
        due = step % every == 0 if every else step in course.ends
        control.should_save = due or step == course.steps


def _own_rates(model: SentenceTransformer, settings: TrainingSettings) -> dict[str, float]:
    """The learning rate of the modulation, by a pattern of its parameters' names in the loss."""
    return {
        rf"^model\.{name}\.": settings.modulation_rate
        for name, part in model.named_children()
        if isinstance(part, LexicalModulation)
    }
