"""Texts on their way to the embedder: as many at once as may be held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WINDOW = 16_384  # texts held in memory and sorted by length
WINDOW_CHARACTERS = 64_000_000  # of them, about
ASKED = 1_024  # texts asked for at once


def windows(
    texts: Callable[[np.ndarray], Sequence[str]], missing: np.ndarray
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Positions and their texts, as many at once as may be held in memory."""
    start = 0
    while start < len(missing):
        held: list[str] = []
        characters = 0
        while len(held) < WINDOW and characters < WINDOW_CHARACTERS:
            asked = missing[start + len(held) :][:ASKED]
            if not len(asked):
                break
            given = texts(asked)
            if len(given) != len(asked):
                raise ValueError(f"asked for {len(asked)} texts, got {len(given)}")
            held += given
            characters += sum(map(len, given))
        yield missing[start : start + len(held)], held
        start += len(held)
