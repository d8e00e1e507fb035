"""The rows of a vector store, found by the keys of their texts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import RetrievalError
from llmaug.retrieval.vector_file import KEY_BYTES, VECTORS, Shape, opened, state_of, sums

if TYPE_CHECKING:
    import numpy as np

HALF = "<u8"  # a key is two of them: numbers are sorted and compared faster than bytes
SOUGHT = 1 << 20  # keys looked up at a time
BLOCK = 1 << 16  # rows copied at a time, so that a large block needs no second copy of itself


class Rows:
    """The rows that were complete when the files were opened.

    It never changes, so threads may share it, and it stays readable while another process
    appends to the files or replaces them. The index of the keys takes 16 bytes of memory a row.
    """

    def __init__(self, folder: Path, shape: Shape) -> None:
        import numpy as np

        self._folder, self._shape = folder, shape
        with opened(folder, os.O_RDONLY) as (vectors, keys):
            self.state = state_of(vectors, keys, folder=folder, shape=shape)
            count = self.state.rows
            self._vectors = _mapped(vectors, shape.row, (count,))
            self.keys = _mapped(keys, HALF, (count, 2))
        # Keys are hashes: sorting by one half tells all but a handful apart.
        first = np.array(self.keys[:, 0])
        self._order = np.argsort(first)
        self._sorted = first[self._order]

    def __len__(self) -> int:
        return self.state.rows

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key, (n, 2) halves; -1 where there is none."""
        import numpy as np

        found = np.full(len(keys), -1, dtype=np.int64)
        for start in range(0, len(keys), SOUGHT):
            part = keys[start : start + SOUGHT]
            order = np.argsort(part[:, 0])  # walks through the index from front to back
            found[start + order] = self._found(part[order])
        return found

    def _found(self, keys: np.ndarray) -> np.ndarray:
        import numpy as np

        found = np.full(len(keys), -1, dtype=np.int64)
        place = np.searchsorted(self._sorted, keys[:, 0])
        unsure = np.flatnonzero(place < len(self))
        while len(unsure):
            unsure = unsure[self._sorted[place[unsure]] == keys[unsure, 0]]
            row = self._order[place[unsure]]
            hit = self.keys[row, 1] == keys[unsure, 1]
            found[unsure[hit]] = row[hit]
            unsure = unsure[~hit]  # another key with the same first half: its neighbour
            place[unsure] += 1
            unsure = unsure[place[unsure] < len(self)]
        return found

    def missing(self, keys: np.ndarray) -> np.ndarray:
        """Positions of the keys without a row, ascending; of equal keys the first only."""
        import numpy as np

        absent = np.flatnonzero(self.find(keys) < 0)
        order = np.lexsort((keys[absent, 1], keys[absent, 0]))  # stable: the first of equals leads
        together = keys[absent[order]]
        leads = np.ones(len(absent), dtype=bool)
        leads[1:] = (together[1:] != together[:-1]).any(axis=1)
        return np.sort(absent[order[leads]])

    def block(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows in this order, (n, dimension) float32.

        Raises `RetrievalError` for a row whose checksum does not fit it.
        """
        import numpy as np

        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            wrong = rows[(rows < 0) | (rows >= len(self))][0]
            raise RetrievalError(
                f"{self._folder} has no row {wrong}: it holds {len(self):,} vectors; fill it first"
            )
        block = np.empty((len(rows), self._shape.dimension), dtype=np.float32)
        order = np.argsort(rows, kind="stable")  # the disk is read from front to back
        for start in range(0, len(rows), BLOCK):
            part = order[start : start + BLOCK]
            read = self._vectors[rows[part]]
            numbers = np.ascontiguousarray(read["numbers"])
            if not np.array_equal(read["sum"], sums(numbers)):
                raise RetrievalError(
                    f"{self._folder / VECTORS} is damaged: rows there are not as they were "
                    "written; --fresh encodes all texts again"
                )
            block[part] = numbers
        return block


def _mapped(handle: int, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    if not shape[0]:
        return np.empty(shape, dtype=dtype)  # no file of no bytes can be mapped
    with os.fdopen(os.dup(handle), "rb") as file:
        return np.memmap(file, dtype=dtype, mode="r", shape=shape)


def halves(keys: np.ndarray) -> np.ndarray:
    """Keys of 16 bytes (dtype V16, or two numbers of 8 bytes each) as (n, 2) numbers."""
    import numpy as np

    if keys.nbytes != len(keys) * KEY_BYTES:
        raise ValueError(f"keys have 16 bytes each, not {keys.dtype} in shape {keys.shape}")
    return np.ascontiguousarray(keys).view(HALF).reshape(-1, 2)
