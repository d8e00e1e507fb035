"""What a classifier says of texts and of their rewrites, in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Votes:
    """The probabilities of n texts and of up to k rewrites each.

    `original` is (n, classes); `variants` (n, k, classes), NaN where there is none. `source` (n, k)
    is which source of the plan wrote a rewrite, `likeness` (n, k) its cosine with the text (NaN
    where not known), and `number` (n, k) how many rewrites had been asked for when it came.
    """

    original: np.ndarray
    variants: np.ndarray
    source: np.ndarray
    likeness: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, original: np.ndarray) -> Votes:
        """Those of texts without rewrites so far."""
        import numpy as np

        n, classes = original.shape
        none = np.zeros((n, 0))
        return cls(original, np.zeros((n, 0, classes)), none.astype(int), none, none.astype(int))

    def seen(self) -> np.ndarray:
        """(n, k): whether there is a rewrite."""
        import numpy as np

        return np.asarray(~np.isnan(self.variants[:, :, 0]))

    def total(self) -> np.ndarray:
        """(n, classes): the sums of the probabilities of the rewrites."""
        import numpy as np

        return np.asarray(np.nansum(self.variants, axis=1))

    def until(self, asked: np.ndarray) -> Votes:
        """Those that had come when each text had asked for so many rewrites."""
        import numpy as np

        late = self.number > asked[:, None]
        variants = np.where(late[:, :, None], np.nan, self.variants)
        return Votes(self.original, variants, self.source, self.likeness, self.number)

    def of_rows(self, rows: np.ndarray) -> Votes:
        """Those of some of the texts."""
        return Votes(
            self.original[rows],
            self.variants[rows],
            self.source[rows],
            self.likeness[rows],
            self.number[rows],
        )

    def add(
        self,
        row: int,
        probabilities: np.ndarray,
        *,
        source: int,
        likeness: float,
        number: int,
    ) -> None:
        """One more rewrite of the text in that row."""
        import numpy as np

        taken = ~np.isnan(self.variants[row, :, 0])
        if taken.all():
            self._widen()
        at = int(taken.sum())
        self.variants[row, at] = probabilities
        self.source[row, at], self.likeness[row, at] = source, likeness
        self.number[row, at] = number

    def _widen(self) -> None:
        import numpy as np

        n, _, classes = self.variants.shape
        self.variants = np.concatenate([self.variants, np.full((n, 1, classes), np.nan)], axis=1)
        self.source = np.concatenate([self.source, np.zeros((n, 1), dtype=int)], axis=1)
        self.likeness = np.concatenate([self.likeness, np.full((n, 1), np.nan)], axis=1)
        self.number = np.concatenate([self.number, np.zeros((n, 1), dtype=int)], axis=1)
