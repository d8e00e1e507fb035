"""Models between a base and what was tuned from it: each weight a mean of the two."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from llmaug.embedders.loading import FROM_ZERO, MODULATION
from llmaug.embedders.sentence import EXPORTS, PICKLED, refuse_pickles
from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_folder, sync
from llmaug.formats.fields import short

MODULES = "modules.json"  # which every sentence-transformers folder has

Modules = dict[str, dict[str, Path]]  # a module's folder -> {tensor name: its file}


def interpolate(base: Path, tuned: Path, *, weight: float, folder: Path) -> Path:
    """Make `folder` the model (1 - weight) x base + weight x tuned; both sentence-transformers.

    Interpolation of a base with its fine-tuned weights (WiSE-FT: Wortsman et al. 2022, arXiv
    2109.01903), in float32 and stored in the tuned type. Weight 0 is a copy of the base, 1 of the
    tuned folder; between them everything but floating-point tensors comes from the tuned one.

    A module of the base is found in the tuned folder at its place, else by the names of its
    tensors, as where it became part of a route. Tensors that only the tuned model has count as
    having started from 0: they are multiplied by the weight. Of a lexical modulation, whose tensors
    are multiplied with each other, this holds for those that start at 0 alone; the others are the
    tuned model's, so that what is modulated grows with the weight and not with a power of it.
    Tensors that only the base has are not used by the tuned model and go. Raises `RetrievalError`
    for two models that do not belong together.

    An earlier model in `folder` is replaced once the new one is whole.
    """
    if not 0 <= weight <= 1:
        raise RetrievalError(f"a weight between base and tuned lies from 0 to 1, not {weight}")
    for model in (base, tuned):
        if not (model / MODULES).is_file():
            raise RetrievalError(f"{model} is not a sentence-transformers folder: no {MODULES}")
        refuse_pickles(model)
    earlier = (folder / MODULES).is_file()
    with new_folder(folder, ours=lambda name: earlier) as unfinished:
        _copy(base if weight == 0 else tuned, unfinished, weights=weight in (0, 1))
        if weight not in (0, 1):
            _write_between(base, tuned, weight=weight, folder=unfinished)
        for file in unfinished.rglob("*"):
            sync(file)
    return folder


def _copy(source: Path, folder: Path, *, weights: bool) -> None:
    """Copy a model without second copies of its weights in other formats."""
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        hidden = any(part.startswith(".") for part in place.parts)  # a downloader's notes
        if hidden or place.parts[0] in EXPORTS or path.suffix in PICKLED or not path.is_file():
            continue
        if weights or path.suffix != ".safetensors":
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)


def _write_between(base: Path, tuned: Path, *, weight: float, folder: Path) -> None:
    """Write every safetensors file of the tuned model with its tensors moved towards the base."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    ours = _modules(base)
    starts = {place: _start(place, names, ours) for place, names in _modules(tuned).items()}
    if not any(starts.values()):
        raise RetrievalError(
            f"{tuned} shares no tensor with {base}, such as "
            f"{_example(_modules(tuned))!r} there and {_example(ours)!r} in the base; "
            "give the model that it was tuned from"
        )
    modulations = _modulations(tuned)
    for path in _weight_files(tuned):
        place = str(path.parent.relative_to(tuned))
        start, modulates = starts[place], place in modulations
        with safe_open(path, framework="pt") as opened:
            about, tensors = opened.metadata(), {}
            for name in opened.keys():  # noqa: SIM118 - not a dict
                ending, beginning = opened.get_tensor(name), None
                if name in start:
                    with safe_open(start[name], framework="pt") as other:
                        beginning = other.get_tensor(name)
                elif modulates and name not in FROM_ZERO:
                    tensors[name] = ending
                    continue
                where = f"{name!r} of {path.relative_to(tuned)}"
                tensors[name] = _between(beginning, ending, weight=weight, where=where)
        target = folder / path.relative_to(tuned)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, target, metadata=about)


def _between(base: Any, tuned: Any, *, weight: float, where: str) -> Any:
    """One tensor of the new model; `base` is None where only the tuned model has it."""
    if base is not None and base.shape != tuned.shape:
        raise RetrievalError(
            f"tensor {where} is {tuple(tuned.shape)} in the tuned model and {tuple(base.shape)} in "
            "the base; give the model that it was tuned from"
        )
    if not tuned.is_floating_point():
        return tuned
    ending = weight * tuned.float()
    mixed = ending if base is None else (1 - weight) * base.float() + ending
    return mixed.to(tuned.dtype).contiguous()


def _modulations(folder: Path) -> set[str]:
    """The folders, inside a model's, of its lexical modulations."""
    parts = json.loads((folder / MODULES).read_bytes())
    return {part["path"] for part in parts if part.get("type") == MODULATION}


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.safetensors"))
    return [path for path in files if path.relative_to(folder).parts[0] not in EXPORTS]


def _modules(folder: Path) -> Modules:
    """The tensors of each module's folder, over all the files that it is saved in."""
    from safetensors import SafetensorError, safe_open

    found: Modules = {}
    for path in _weight_files(folder):
        module = found.setdefault(str(path.parent.relative_to(folder)), {})
        try:
            with safe_open(path, framework="pt") as opened:
                module.update(dict.fromkeys(opened.keys(), path))
        except SafetensorError as error:
            raise RetrievalError(
                f"{path} cannot be read: {short(str(error))}; train or fetch the model again"
            ) from None
    return found


def _start(place: str, names: dict[str, Path], base: Modules) -> dict[str, Path]:
    """The tensors of the base that a module of the tuned model began with; none for a new one."""
    if not names.keys().isdisjoint(base.get(place, ())):
        return base[place]
    alike = {at: module for at, module in base.items() if not names.keys().isdisjoint(module)}
    if len(alike) > 1:
        raise RetrievalError(
            f"the tuned module {place!r} may come from any of {', '.join(map(repr, alike))} of the "
            f"base, which all have a tensor {_example({place: names})!r}; keep its folder's name"
        )
    return next(iter(alike.values()), {})


def _example(modules: Modules) -> str:
    return min((name for module in modules.values() for name in module), default="")
