"""A cross-encoder for ranking: how well a passage answers a query."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import ModelError
from llmaug.steps.cross_encoder import CrossEncoder, TextPair, settings_of
from llmaug.steps.cross_encoder import fingerprint as fingerprint

if TYPE_CHECKING:
    import numpy as np

OUTPUTS = 2  # of a classifier whose configuration does not say: the library's own default


def check_folder(folder: Path) -> None:
    """Raise `ModelError` unless the folder holds a classifier with one output, in safetensors.

    Reads the configuration alone, before anything is loaded.
    """
    settings = settings_of(folder, purpose="ranking passages")
    outputs = settings.get("id2label") or settings.get("num_labels", OUTPUTS)
    if not isinstance(outputs, int | dict):
        raise ModelError(
            f"{folder / 'config.json'} cannot be read: it names its outputs as {outputs!r}"
        )
    count = outputs if isinstance(outputs, int) else len(outputs)
    if count != 1:
        raise ModelError(
            f"{folder} has {count} outputs, not one; give a cross-encoder trained for ranking "
            "passages, whose one output is the relevance"
        )


@functools.lru_cache(maxsize=4)
def relevance(folder: Path, mark: str) -> Relevance:
    """The model of a folder in the state that `mark` names, one for the process."""
    return Relevance(folder)


class Relevance:
    """A model that scores pairs of a query and a passage; loaded at the first pair."""

    def __init__(self, folder: Path) -> None:
        check_folder(folder)
        self.folder = folder
        self._model = CrossEncoder(folder)

    def scores(self, pairs: Sequence[TextPair]) -> np.ndarray:
        """The relevance of each pair in the order given, (n,) float32: raw, higher is better.

        No probability: the scale is the model's own. A pair too long for the model loses the end
        of its longer text.
        """
        return self._model.logits(pairs)[:, 0]

    async def __call__(self, pairs: Sequence[TextPair]) -> np.ndarray:
        """As `scores`, in the model's one thread, together with the pairs of other roots."""
        return (await self._model.gathered(pairs))[:, 0]
