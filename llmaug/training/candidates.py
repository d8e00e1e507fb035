"""Candidates for hard negatives: what both rankings find for a query, less what may answer it."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llmaug.training.indexed import IndexedDocuments
from llmaug.training.mined import SOURCES, Negative, Scores
from llmaug.training.pairs import Pair
from llmaug.training.settings import MiningSettings

if TYPE_CHECKING:
    import numpy as np

KNOWN, COPY, REPEATED = "known answer", "copy of an answer", "copy of a candidate"
MARGIN, RELATIVE, TEACHER = "margin", "relative margin", "teacher"


class Ranked(NamedTuple):
    """What was found for a query: {source: {document id: rank}}, and what ranked too high."""

    ranks: dict[str, dict[str, int]]
    before: frozenset[str]

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(itertools.chain(*self.ranks.values())))

    def negative(self, id: str, scores: Scores) -> Negative:
        """A document with the sources that found it and the better of its ranks."""
        ranks = {source: of[id] for source, of in self.ranks.items() if id in of}
        name = "+".join(source for source in SOURCES if source in ranks)
        return Negative(id, name, min(ranks.values()), scores)


@dataclass
class Prospect:
    """A pair, what was said of it, and in their order the documents to choose its negatives from.

    At the end of the queue are random documents, for when too few others are left.
    """

    pair: Pair
    scores: Scores
    queue: list[Negative]
    chosen: list[Negative] = field(default_factory=list)


class Candidates:
    """Looks for the negatives of pairs; `counts` says what was found and what was dropped."""

    def __init__(
        self,
        documents: IndexedDocuments,
        *,
        known: Mapping[str, Collection[str]],
        settings: MiningSettings,
        counts: Counter[str],
    ) -> None:
        for source in settings.sources:
            documents.index.mode(source)
        if settings.margin is not None or settings.relative_margin is not None:
            documents.index.mode("dense")  # margins compare cosines
        self.documents, self.known, self.settings = documents, known, settings
        self.counts = counts

    def of(self, pairs: Sequence[Pair]) -> list[Prospect]:
        """The prospects of some pairs, whose queries are encoded and searched together."""
        queries = list(dict.fromkeys(pair.query for pair in pairs))
        vectors = self.documents.encode(queries)
        ranked = dict(zip(queries, self._ranked(queries, vectors), strict=True))
        vector = dict(zip(queries, vectors, strict=True))
        return [self._prospect(pair, ranked[pair.query], vector[pair.query]) for pair in pairs]

    def _ranked(self, queries: list[str], vectors: list[np.ndarray | None]) -> list[Ranked]:
        import numpy as np

        index, last = self.documents.index, self.settings.last
        sides: dict[str, list[dict[str, float]]] = {}
        for source in self.settings.sources:
            if source == "dense":
                sides[source] = index.dense(np.stack([v for v in vectors if v is not None]), last)
            else:
                sides[source] = index.bm25(queries, last)
        first = self.settings.first
        found = []
        for rankings in zip(*sides.values(), strict=True):
            places = [{id: rank for rank, id in enumerate(ranking, 1)} for ranking in rankings]
            before = {id for of in places for id, rank in of.items() if rank < first}
            ranks = [
                {id: rank for id, rank in of.items() if rank >= first and id not in before}
                for of in places
            ]
            found.append(Ranked(dict(zip(sides, ranks, strict=True)), frozenset(before)))
        return found

    def _prospect(self, pair: Pair, ranked: Ranked, vector: np.ndarray | None) -> Prospect:
        key, ids = self.documents.key, ranked.ids
        answers = {pair.document_id, *self.known.get(pair.query_id, ())}
        copied = {key(id) for id in answers if id in self.documents}
        taken = answers | ranked.before | set(ids)
        spare = self._spare(pair, taken, copied | {key(id) for id in ids})
        judged = [pair.document_id, *ids, *spare]
        said = self.documents.scores(pair.query, judged, vector=vector)
        scores = dict(zip(judged, said, strict=True))
        kept, seen = [], copied.copy()
        for id in ids:
            why = KNOWN if id in answers else COPY if key(id) in copied else ""
            why = why or (REPEATED if key(id) in seen else "")
            why = why or self._too_near(scores[id].dense, scores[pair.document_id].dense)
            if why:
                self.counts[why] += 1
            else:
                kept.append(id)
                seen.add(key(id))
        self.counts["candidates"] += len(ids)
        queue = [ranked.negative(id, scores[id]) for id in self._in_order(kept, pair, ranked)]
        queue += [Negative(id, "random", 0, scores[id]) for id in spare]
        return Prospect(pair, scores[pair.document_id], queue)

    def _too_near(self, cosine: float | None, positive: float | None) -> str:
        """Which margin a document is within, if any.

        The relative one is a share of the positive's size: a factor would put the limit above a
        positive whose cosine is negative (sentence-transformers #3819).
        """
        if cosine is None or positive is None:
            return ""
        margin, share = self.settings.margin, self.settings.relative_margin
        if margin is not None and cosine > positive - margin:
            return MARGIN
        return RELATIVE if share is not None and cosine > positive - share * abs(positive) else ""

    def _in_order(self, kept: list[str], pair: Pair, ranked: Ranked) -> list[str]:
        """The documents in the order in which they are taken: the sources' in turn."""
        drawn = {id: (_draw(self.settings.seed, pair, id), id) for id in kept}
        lists = [[id for id in ranks if id in drawn] for ranks in ranked.ranks.values()]
        if self.settings.pick == "random":
            lists = [sorted(own, key=drawn.__getitem__) for own in lists]
        rows = itertools.zip_longest(*lists)
        return list(dict.fromkeys(id for row in rows for id in row if id is not None))

    def _spare(self, pair: Pair, taken: set[str], texts: set[bytes]) -> list[str]:
        """Random documents that are none of those taken and have none of these texts."""
        spare: list[str] = []
        for place in _walk(len(self.documents), _draw(self.settings.seed, pair, "")):
            if len(spare) == self.settings.negatives:
                break
            id = self.documents.index.documents.ids[place]
            if id not in taken and (key := self.documents.key(id)) not in texts:
                spare.append(id)
                texts.add(key)
        return spare


def _draw(seed: int, pair: Pair, id: str) -> int:
    """A number that seed, pair and document decide, whatever else is mined before or beside."""
    parts = (str(seed), pair.query_id, pair.document_id, id)
    content = "\0".join(parts).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=16).digest(), "big")


def _walk(count: int, draw: int) -> Iterator[int]:
    """All places below `count` from a random one on, in steps of a random size, each once."""
    place, step = draw % count, draw // count % count or 1
    while math.gcd(step, count) > 1:
        step += 1
    for _ in range(count):
        yield place
        place = (place + step) % count
