"""Checkpoints that hold all of a training's state, as safetensors and JSON. A torch module.

A checkpoint is a folder `step-N` that appears whole or not at all: `weights` (the model's and
those that the loss owns), `optimiser`, `random` (the states of torch, a row for each process) and
`state.json`, `trainer_state.json`.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_folder

STATE = "state.json"


def newest(folder: Path) -> Path | None:
    """The last checkpoint in the folder; None where there is none."""
    found = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return max(found, key=lambda path: int(path.name[5:]), default=None)


def write(
    folder: Path,
    *,
    step: int,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    facts: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Write a checkpoint whole, then remove the earlier ones, and what kills have left behind.

    `tensors` are kept by the name of their file without ending, `facts` by that of theirs.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step}"
    with new_folder(path, ours=lambda name: True) as unfinished:
        for name, kept in tensors.items():
            whole = {key: tensor.detach().cpu().contiguous() for key, tensor in kept.items()}
            save_file(whole, unfinished / f"{name}.safetensors")
        for name, kept_facts in facts.items():
            (unfinished / name).write_text(json.dumps(kept_facts))
    for other in folder.iterdir():
        if other != path:
            shutil.rmtree(other)
    return path


def read_tensors(checkpoint: Path, name: str) -> dict[str, torch.Tensor]:
    """The tensors of one of the files of a checkpoint, on the CPU."""
    path = checkpoint / f"{name}.safetensors"
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from None


def read_facts(checkpoint: Path, name: str = STATE) -> dict[str, Any]:
    """What one of the JSON files of a checkpoint says."""
    path = checkpoint / name
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> RetrievalError:
    return RetrievalError(
        f"{path} cannot be read ({error}); remove {path.parent}, or train with fresh=True"
    )


def weights_of(modules: nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer, those that are shared once."""
    buffers = {name: buffer.clone() for name, buffer in modules.named_buffers()}
    return {**dict(modules.named_parameters()), **buffers}


def restore_weights(modules: nn.Module, kept: Mapping[str, torch.Tensor]) -> None:
    """Give the parameters and buffers the values that were kept, in place."""
    there = {**dict(modules.named_parameters()), **dict(modules.named_buffers())}
    if there.keys() != kept.keys():
        other = sorted(there.keys() ^ kept.keys())[0]
        raise RetrievalError(
            f"the checkpoint is of another model ({other} is in one of the two only); train with "
            "fresh=True"
        )
    with torch.no_grad():
        for name, tensor in there.items():
            tensor.copy_(kept[name])


def optimiser_tensors(optimiser: Any) -> dict[str, torch.Tensor]:
    """The optimiser's state, by the number of the parameter and the name of the value."""
    return {
        f"{number}.{name}": value
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def optimiser_groups(optimiser: Any) -> list[dict[str, Any]]:
    """The options of the optimiser's groups, plain numbers all."""
    return list(optimiser.state_dict()["param_groups"])


def restore_optimiser(
    optimiser: Any, kept: Mapping[str, torch.Tensor], groups: list[dict[str, Any]]
) -> None:
    """Give the optimiser the state that was kept."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in kept.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    whole = [{**group, "betas": tuple(group["betas"])} for group in groups]  # JSON has no tuples
    optimiser.load_state_dict({"state": state, "param_groups": whole})


def random_bytes(device: torch.device) -> torch.Tensor:
    """The random state of torch on the CPU, and after it that of a GPU in use."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def random_facts() -> dict[str, Any]:
    """The random states of Python and numpy."""
    kept = np.random.get_state(legacy=False)
    kept["state"]["key"] = kept["state"]["key"].tolist()
    return {"python": random.getstate(), "numpy": kept}


def restore_random(state: torch.Tensor, facts: Mapping[str, Any], device: torch.device) -> None:
    """Give torch, Python and numpy the random states that were kept."""
    cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:cpu])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[cpu:], device)
    version, numbers, gauss = facts["python"]
    random.setstate((version, tuple(numbers), gauss))
    key = np.array(facts["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state({**facts["numpy"], "state": {**facts["numpy"]["state"], "key": key}})
