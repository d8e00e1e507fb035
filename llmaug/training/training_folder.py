"""The folder of a training: what was asked, the model, and that it is finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.embedders.sentence import quietly
from llmaug.errors import ResumeRefused, RunError
from llmaug.formats.atomic import new_file, new_folder, sync

if TYPE_CHECKING:
    from llmaug.training.trainer import RetrieverTrainer

MANIFEST, FINISHED, MODEL, CHECKPOINTS = "training.json", "trained.json", "model", "checkpoints"


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


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names, but for the one that changes nothing of the result."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif name != "checkpoint":
            found[prefix + name] = value
    return found


def settle(folder: Path, asked: dict[str, Any], *, fresh: bool) -> None:
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


def finish(trainer: RetrieverTrainer, folder: Path) -> Trained:
    """Write the model, adapters merged into it, and then that it is finished.

    The first process does, and the others wait for it.
    """
    from llmaug.training.lora import merged

    losses = tuple(trainer.losses)
    done = Trained(folder / MODEL, len(losses), losses, trainer.pairs, trainer.seconds)
    if trainer.args.process_index == 0:
        with new_folder(done.model, ours=lambda name: True) as unfinished:
            with quietly("torch"):
                merged(trainer.model).save(str(unfinished), create_model_card=False)
            for file in unfinished.rglob("*"):
                sync(file)
        with new_file(folder / FINISHED) as unfinished:
            told = {"losses": losses, "pairs": done.pairs, "seconds": done.seconds}
            unfinished.write_text(json.dumps(told))
    trainer.accelerator.wait_for_everyone()
    return done


def finished(folder: Path) -> Trained | None:
    """The training that ended in the folder; None where none did."""
    path = folder / FINISHED
    if not path.exists() or not (folder / MODEL).exists():
        return None
    try:
        told = json.loads(path.read_bytes())
        losses = tuple(map(float, told["losses"]))
        return Trained(folder / MODEL, len(losses), losses, told["pairs"], told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{path} cannot be read; train with fresh=True to start anew") from None
