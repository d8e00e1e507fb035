"""Hard negatives that are mixed from others: MoCHi (Kalantidis et al. 2020, arXiv 2010.01028).

Departures: the negatives come from the batch, not from a queue; two of a pair are never the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Draws(NamedTuple):
    """Random numbers from 0 to 1 for every query of a batch.

    `pairs` (queries, mixed, 3) picks two negatives and a share, `queries` (queries, mixed, 2) a
    negative and a share. Drawn at once for the whole batch, so that they do not depend on how it
    is cut into pieces.
    """

    pairs: Tensor
    queries: Tensor

    def rows(self, rows: slice) -> Draws:
        """The same for some of the queries."""
        return Draws(self.pairs[rows], self.queries[rows])


class Mixtures(NamedTuple):
    """Mixed negatives of each query, (queries, mixed, dimension) of unit length, detached.

    `exist` (queries, mixed) is False where a query had too few negatives to mix from.
    """

    vectors: Tensor
    exist: Tensor


def draws(queries: int, *, mixed: int, mixed_query: int, seed: int) -> Draws:
    """The random numbers of one step; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.rand(queries, mixed, 3, generator=generator)
    return Draws(pairs, torch.rand(queries, mixed_query, 2, generator=generator))


def mixtures(
    queries: Tensor, documents: Tensor, *, cosines: Tensor, drawn: Draws, among: int
) -> Mixtures:
    """Mix the hardest negatives with one another (type 1) and with the query (type 2).

    Type 1 is a n_i + (1 - a) n_j with a from 0 to 1, type 2 is b q + (1 - b) n_j with b from 0 to
    0.5, both of unit length. `documents` is (columns, dimension), or (rows, columns, dimension)
    where each query has its own. `cosines` (rows, columns) is -inf where a document is no negative.
    """
    queries, documents, cosines = queries.detach(), documents.detach(), cosines.detach()
    drawn = Draws(*(numbers.to(queries.device) for numbers in drawn))
    hardest = cosines.topk(min(among, cosines.shape[1]), dim=1)
    found = (hardest.values > -torch.inf).sum(dim=1, keepdim=True)
    first = _place(drawn.pairs[..., 0], found)
    second = (first + 1 + _place(drawn.pairs[..., 1], found - 1)) % found.clamp(min=1)
    other = _place(drawn.queries[..., 0], found)
    picked = [
        functional.normalize(_at(documents, hardest.indices.gather(1, place)), dim=-1)
        for place in (first, second, other)
    ]
    query = functional.normalize(queries, dim=-1).unsqueeze(1)
    a, b = drawn.pairs[..., 2:], drawn.queries[..., 1:] / 2
    mixed = [a * picked[0] + (1 - a) * picked[1], b * query + (1 - b) * picked[2]]
    exist = [(found > 1).expand_as(first), (found > 0).expand_as(other)]
    return Mixtures(functional.normalize(torch.cat(mixed, dim=1), dim=-1), torch.cat(exist, dim=1))


def _place(share: Tensor, count: Tensor) -> Tensor:
    """A place below the row's count; 0 where there is none."""
    return (share * count).long().clamp(min=0).minimum((count - 1).clamp(min=0))


def _at(documents: Tensor, columns: Tensor) -> Tensor:
    if documents.dim() == 2:
        return documents[columns]
    return documents.gather(1, columns.unsqueeze(-1).expand(-1, -1, documents.shape[-1]))
