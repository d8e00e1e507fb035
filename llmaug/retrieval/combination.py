"""How what was written for a query is used beside the query: what every combination has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval.combine_searches import Asked, Encoder, Ranking
from llmaug.retrieval.expansions import Expansions
from llmaug.retrieval.fuse import Fusion, rrf
from llmaug.retrieval.index_reader import BATCH, DEPTH, IndexReader
from llmaug.retrieval.rankings import Rankings

SIDES = ("dense", "bm25")


class Combination:
    """A rule that makes one ranking of a query and its expansions; prints as it was typed.

    `sides` are those that it can search; one that can search both also serves the mode hybrid,
    its two rankings fused. `fuses` says that it looks at whole rankings, which then have to be
    deeper than what is asked for.
    """

    sides: frozenset[str] = frozenset(SIDES)
    fuses = False

    def __repr__(self) -> str:
        return str(self)

    def one_side(self, asked: Asked, side: str, *, depth: int) -> list[Ranking]:
        """The ranking of each query that has expansions, by vectors or by words."""
        raise TypeError(f"{type(self).__name__} does not say how it does this")

    def dense_text(self, query: str, expansions: Sequence[str]) -> str | None:
        """The one text with both query and expansions that is encoded; None where there is none."""
        return None

    def check(self, mode: str) -> None:
        """Raise `PlanError` where this cannot be searched in the mode."""
        wanted = set(SIDES) if mode == "hybrid" else {mode}
        if not wanted <= self.sides:
            raise PlanError(f"{self} cannot search by {mode}: {self.instead(mode)}")

    def instead(self, mode: str) -> str:
        """What to do in a mode that this cannot serve."""
        return f"it works in the mode {' or '.join(sorted(self.sides))} only"

    def combined(self, asked: Asked, mode: str, *, depth: int, fusion: Fusion) -> list[Ranking]:
        """The ranking of each query that has expansions."""
        if mode != "hybrid":
            return self.one_side(asked, mode, depth=depth)
        sides = [self.one_side(asked, side, depth=depth) for side in SIDES]
        return [fusion.fuse(pair) for pair in zip(*sides, strict=True)]

    def search(
        self,
        index: IndexReader,
        queries: Mapping[str, str],
        expansions: Expansions,
        *,
        k: int = 100,
        mode: str | None = None,
        fusion: Fusion | None = None,
        depth: int = DEPTH,
        batch: int = BATCH,
        threads: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Rankings:
        """The `k` best documents of every query, {query id: {document id: score}}, best first.

        A query without expansions gets, to the last bit, what `index.search` gives it among these
        queries. `fusion` is that of the two sides in the mode hybrid, as there.
        """
        if min(k, batch, depth) < 1:
            raise RetrievalError("k, batch and depth must be at least 1")
        mode, fusion = index.mode(mode), fusion or rrf()
        self.check(mode)
        deep = max(k, depth) if mode == "hybrid" or self.fuses else k
        rankings: Rankings = {}
        every = list(queries)
        for ids in (every[start : start + batch] for start in range(0, len(every), batch)):
            asked = Asked(
                index,
                [queries[id] for id in ids],
                [expansions.get(id, []) for id in ids],
                encoder=Encoder(index.encode, batch=batch),  # its vectors go with the batch
                threads=threads,
            )
            found = iter(self.combined(asked, mode, depth=deep, fusion=fusion))
            plain = iter(asked.plain(mode, k=k, depth=depth, fusion=fusion))
            for id in ids:
                ranking = next(found if expansions.get(id) else plain)
                rankings[id] = dict(itertools.islice(ranking.items(), k))
            progress(len(rankings), len(every))
        return rankings
