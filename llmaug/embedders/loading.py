"""How a sentence-transformers folder becomes a model, also one whose queries are modulated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# What stands for `LexicalModulation` in the `modules.json` of a folder: part of the format.
MODULATION = "llmaug.embedders.modulation.LexicalModulation"
FROM_ZERO = ("table", "bias")  # its tensors that are 0 before training; each adds to the logits


def load_retriever(folder: Path, **options: Any) -> Any:
    """The folder's `SentenceTransformer`; `options` are those of the library.

    Of the classes outside of the library, which it runs with trust_remote_code alone, this takes
    `LexicalModulation`, and from llmaug, never from the folder. All others are refused.
    """
    from sentence_transformers import SentenceTransformer

    safe = {"trust_remote_code": False, "local_files_only": True}
    if not _is_modulated(folder):
        return SentenceTransformer(str(folder), **safe, **options)
    from llmaug.embedders.modulation import LexicalModulation

    # The constructor but for the classes that are given; the library's trainer loads so too.
    ours = {MODULATION: LexicalModulation}
    return SentenceTransformer._load_with_module_classes(str(folder), ours, **safe, **options)


def task_of(model: Any, side: str) -> dict[str, str]:
    """What `encode` and `preprocess` must be told beside the texts of a side, if anything.

    So queries alone are modulated, and each side of a model with routes takes its own.
    """
    for part in model:
        if getattr(part, "modulates", "") == side or side in getattr(part, "sub_modules", ()):
            return {"task": side}
    return {}


def _is_modulated(folder: Path) -> bool:
    parts = folder / "modules.json"
    if not parts.is_file():
        return False
    return any(part.get("type") == MODULATION for part in json.loads(parts.read_bytes()))
