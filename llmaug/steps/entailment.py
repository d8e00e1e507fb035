"""A cross-encoder for natural language inference: how surely one text follows from another."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from llmaug.errors import ModelError
from llmaug.steps.cross_encoder import CrossEncoder, TextPair, settings_of
from llmaug.steps.cross_encoder import fingerprint as fingerprint


def entailment_class(folder: Path) -> int:
    """The column of the label "entailment", in any case; `ModelError` where this cannot be used.

    Reads the configuration alone, before anything is loaded.
    """
    settings = settings_of(folder, purpose="natural language inference")
    try:
        labels = settings.get("id2label") or {}
        named = {str(label).strip().casefold(): int(at) for at, label in labels.items()}
        for label, at in (settings.get("label2id") or {}).items():
            named.setdefault(str(label).strip().casefold(), int(at))
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read: {error}") from None
    if "entailment" not in named or len(labels) < 2:
        raise ModelError(
            f"{folder} has no label 'entailment' (its labels: {', '.join(sorted(named)) or 'none'})"
            "; give a cross-encoder for natural language inference, or name its labels as id2label "
            "in config.json"
        )
    return named["entailment"]


@functools.lru_cache(maxsize=4)
def entailment(folder: Path, mark: str) -> Entailment:
    """The model of a folder in the state that `mark` names, one for the process."""
    return Entailment(folder)


class Entailment:
    """A model that says how surely the second text of a pair follows from the first."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.column = folder, entailment_class(folder)
        self._model = CrossEncoder(folder)

    async def __call__(self, pairs: Sequence[TextPair]) -> list[float]:
        """The probability that the second text of each pair follows from the first, in order."""
        import numpy as np

        if not pairs:
            return []
        logits = (await self._model.gathered(pairs)).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: list[float] = (powers[:, self.column] / powers.sum(axis=1)).tolist()
        return found
