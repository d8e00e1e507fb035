"""A dev set: queries whose answers are known, by which models in training are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.formats.fields import short
from llmaug.request import Embedder
from llmaug.retrieval.documents import contents
from llmaug.retrieval.index_reader import IndexReader
from llmaug.retrieval.measure import evaluate, parse_measure
from llmaug.retrieval.qrels import Qrels
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.top import tie_ranks, top
from llmaug.training.dev_pool import dev_pool as dev_pool

if TYPE_CHECKING:
    import numpy as np

Values = Mapping[str, float]  # query id -> value of one measure


@dataclass(frozen=True)
class DevSet:
    """Queries with judgements, and the documents among which their answers are looked for.

    `documents` are pairs of id and contents. Raises `RetrievalError` for a query without
    judgements, and where there is no query or no document.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    documents: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.queries or not self.documents:
            raise RetrievalError("a dev set needs at least one query and one document")
        for query in self.queries:
            if not self.qrels.get(query):
                raise RetrievalError(
                    f"no document is judged for dev query {short(query)!r}; leave the query out"
                )

    @classmethod
    def of(
        cls,
        index: IndexReader,
        queries: Mapping[str, str],
        qrels: Qrels,
        *,
        size: int | None = None,
        seed: int = 0,
    ) -> DevSet:
        """The judged ones of the queries, searched for in the documents that `dev_pool` chooses."""
        judged = {query: text for query, text in queries.items() if qrels.get(query)}
        ids = dev_pool(index, judged, qrels, size=size, seed=seed)
        documents = tuple((id, contents(index.document(id))) for id in ids)
        return cls(judged, {query: qrels[query] for query in judged}, documents)

    @cached_property
    def digest(self) -> str:
        """12 hex digits over queries, judgements and documents, whatever their order."""
        about = [
            self.queries,
            {query: self.qrels[query] for query in self.queries},
            dict(self.documents),
        ]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]

    def values(self, embedder: Embedder, measure: str = "nDCG@10") -> dict[str, float]:
        """What an exact dense search with this embedder scores for each query.

        By cosine over all documents of the dev set; equal scores in trec_eval's order. The same
        weights give the same values on the same machine.
        """
        asked = parse_measure(measure)  # before the long work
        rankings = self._rankings(embedder, depth=asked.depth)
        qrels = {query: self.qrels[query] for query in rankings}
        return evaluate(rankings, qrels, (measure,)).per_query[asked.name]

    def _rankings(self, embedder: Embedder, *, depth: int | None) -> Rankings:
        """The best documents of each query, and all judged ones at their place below those."""
        queries = sorted(self.queries)
        ids = [id for id, _ in self.documents]
        place_of = {id: place for place, id in enumerate(ids)}
        scores, ranks = self._scores(embedder, queries), tie_ranks(ids)
        rankings: Rankings = {}
        for query, row in zip(queries, scores, strict=True):
            places = top(row, depth or len(ids), ranks).tolist()
            # Judged ones beyond the depth change no value. With them no ranking, however bad, is
            # taken for one of another corpus.
            places += [place_of[id] for id in self.qrels[query] if id in place_of]
            rankings[query] = {ids[place]: float(row[place]) for place in places}
        return rankings

    def _scores(self, embedder: Embedder, queries: list[str]) -> np.ndarray:
        """Cosines, (queries, documents) float32; only a batch of documents is held as vectors."""
        import numpy as np

        asked = embedder.encode([self.queries[query] for query in queries], side="query")
        scores = np.empty((len(queries), len(self.documents)), dtype=np.float32)
        # Texts of a length are encoded together, which makes padding cheap.
        order = sorted(range(len(self.documents)), key=lambda at: -len(self.documents[at][1]))
        for start in range(0, len(order), embedder.batch):
            batch = order[start : start + embedder.batch]
            vectors = embedder.encode([self.documents[at][1] for at in batch], side="document")
            scores[:, batch] = asked @ vectors.T
        return scores


def dev_values(
    dev: DevSet, embedder: Embedder, *, measure: str, file: Path | None
) -> dict[str, float]:
    """`DevSet.values`, kept in a JSON file so that no model is measured twice.

    Found again by the dev set, the weights, both prompts and the measure. Raises `RetrievalError`
    for a file that holds anything else; `file=None` keeps nothing.
    """
    name = parse_measure(measure).name
    about = [dev.digest, embedder.fingerprint, embedder.prompt("query"), name]
    key = json.dumps([*about, embedder.prompt("document")])
    kept = {} if file is None or not file.exists() else _kept(file)
    if key not in kept:
        kept[key] = dev.values(embedder, measure)
        if file is not None:
            with new_file(file) as unfinished:
                unfinished.write_bytes(orjson.dumps(kept))
    return dict(kept[key])


def _kept(file: Path) -> dict[str, dict[str, float]]:
    try:
        kept = orjson.loads(file.read_bytes())
        if all(isinstance(v, float) for values in kept.values() for v in values.values()):
            return dict(kept)
    except (OSError, ValueError, AttributeError):
        pass
    raise RetrievalError(f"{file} does not hold dev values as they were written; delete it")
