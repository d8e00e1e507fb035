"""The folder of a small classifier: model.safetensors and classifier.json, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import llmaug
from llmaug.classify.labels import checked_classes
from llmaug.classify.small import SmallClassifier
from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import ClassifierError, MissingExtra, ModelError
from llmaug.formats.atomic import check_folder, new_folder
from llmaug.model_sources import sha256
from llmaug.request import Embedder

FORMAT = "llmaug small classifier 1"
WEIGHTS, ABOUT = "model.safetensors", "classifier.json"
OURS = frozenset({WEIGHTS, ABOUT}).__contains__
LARGEST = 16 * 2**20  # bytes of classifier.json
LOCAL = ("127.0.0.1", "localhost", "::1")


def check_output(folder: Path) -> None:
    """Raise `OutputError` where no classifier can be written, before any work is done."""
    check_folder(folder, ours=OURS)


def write(folder: Path, made: SmallClassifier) -> None:
    """Write the classifier, whole or not at all."""
    save_file = _safetensors().save_file
    with new_folder(folder, ours=OURS) as unfinished:
        save_file({"weight": made.weight, "bias": made.bias}, unfinished / WEIGHTS)
        (unfinished / WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone
        about = {
            "format": FORMAT,
            "classes": list(made.classes),
            "fingerprint": made.fingerprint,
            "sha256": sha256(unfinished / WEIGHTS),
            "embedder": {
                "name": made.embedder.name,
                "fingerprint": made.embedder.fingerprint,
                "parameters": dict(made.embedder.parameters),
            },
            "trained": made.trained,
            "llmaug": llmaug.__version__,
        }
        text = json.dumps(about, indent=1, ensure_ascii=True) + "\n"
        (unfinished / ABOUT).write_text(text, encoding="ascii")


def read(
    folder: Path,
    *,
    embedder: Embedder | None = None,
    device: str | None = None,
    base_url: str | None = None,
) -> SmallClassifier:
    """The classifier in a folder; raises `ClassifierError` unless all in it holds together."""
    about = _about(folder)
    try:
        if not isinstance(about["classes"], list):
            raise TypeError
        classes = checked_classes(about["classes"])
        of, trained = about["embedder"], about["trained"]
        if not all(isinstance(of[field], str) for field in ("name", "fingerprint")):
            raise TypeError
        if not isinstance(of["parameters"], dict) or not isinstance(trained, dict):
            raise TypeError
    except (KeyError, TypeError, ClassifierError):
        raise _damaged(folder / ABOUT, "lacks what llmaug writes there") from None
    tensors = _tensors(folder / WEIGHTS, checksum=about.get("sha256"))
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is None or bias is None or weight.ndim != 2 or len(weight) != len(classes):
        raise _damaged(folder / WEIGHTS, f"holds no weight for {len(classes)} classes")
    if bias.shape != (len(classes),):
        raise _damaged(folder / WEIGHTS, f"holds no bias for {len(classes)} classes")
    if embedder is None:
        embedder = _embedder(of, device=device, base_url=base_url, folder=folder)
    if embedder.fingerprint != of["fingerprint"]:
        raise ClassifierError(
            f"{folder} was trained with the embedder {of['name']}@{of['fingerprint']}, and this is "
            f"{embedder.name}@{embedder.fingerprint}; give that one, or train again"
        )
    return SmallClassifier(
        classes, weight, bias=bias, embedder=embedder, trained=trained, name=str(folder)
    )


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        with path.open("rb") as file:
            about = json.loads(file.read(LARGEST + 1))
    except FileNotFoundError:
        raise ClassifierError(
            f"{folder} is no folder of a classifier: it has no {ABOUT}; make one with "
            "`llmaug classify train`"
        ) from None
    except (OSError, ValueError, RecursionError):
        raise _damaged(path, "cannot be read") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ClassifierError(f"{path} is not in the format {FORMAT!r}; train the classifier again")
    return about


def _tensors(path: Path, *, checksum: Any) -> Mapping[str, Any]:
    """The arrays of a file that is the one written, all finite numbers."""
    import numpy as np

    load_file = _safetensors().load_file
    try:
        if sha256(path) != checksum:
            raise _damaged(path, "has another SHA-256 than was written")
        found: dict[str, np.ndarray] = load_file(path)
    except ClassifierError:
        raise
    except Exception as error:  # a foreign file can break in any way inside the library
        raise _damaged(path, f"cannot be read ({type(error).__name__})") from None
    for array in found.values():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise _damaged(path, "holds something else than finite float64")
    return found


def _embedder(
    of: Mapping[str, Any], *, device: str | None, base_url: str | None, folder: Path
) -> Embedder:
    """The embedder by its name; only the user says where texts and a key may be sent."""
    parameters = dict(of["parameters"])
    named = parameters.pop("base_url", None)
    if base_url is None and named is not None and urlsplit(str(named)).hostname not in LOCAL:
        raise ClassifierError(
            f"{folder} was trained with a server at {named}; if texts may be sent there, give that "
            f"address yourself: --embedder-url {named}"
        )
    address = base_url or named
    options: dict[str, Any] = parameters if address is None else {**parameters, "base_url": address}
    try:
        return embedder_named(of["name"], device=device, **options)
    except (TypeError, AttributeError):
        raise _damaged(folder / ABOUT, "names no embedder that llmaug knows") from None
    except ModelError as error:
        raise ModelError(f"{error}; {folder} needs its embedder: {of['name']}") from None


def _damaged(path: Path, how: str) -> ClassifierError:
    return ClassifierError(f"{path} {how}; it is damaged: train the classifier again")


def _safetensors() -> Any:
    try:
        from safetensors import numpy
    except ImportError:
        raise MissingExtra("safetensors", "classify") from None
    return numpy
