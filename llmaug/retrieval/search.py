"""Searching an index: dense, by words, or both fused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llmaug.errors import TextError
from llmaug.retrieval.collection import named_queries
from llmaug.retrieval.fuse import Fusion, parse_fusion
from llmaug.retrieval.index_reader import BATCH, DEPTH, IndexReader
from llmaug.retrieval.rankings import Rankings


def search(
    index: IndexReader | str | Path,
    queries: Mapping[str, str] | Sequence[str] | str | Path,
    *,
    k: int = 100,
    mode: str | None = None,
    fusion: Fusion | str | None = None,
    depth: int = DEPTH,
    batch: int = BATCH,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rankings:
    """The `k` best documents of every query: {query id: {document id: score}}, best first.

    `queries` are {id: text}, a list of texts (ids 0, 1, …) or a file. `mode` is "dense" (cosine),
    "bm25", or "hybrid" (both, the first `depth` hits of each combined by `fusion`, RRF unless
    given; at least `k`); None takes the last of these that the index has. Documents of equal score
    are in the order of trec_eval, so the same files give the same rankings. `threads` is FAISS's
    number.
    """
    opened = index if isinstance(index, IndexReader) else IndexReader(index)
    return opened.search(
        _asked(queries),
        k=k,
        mode=mode,
        fusion=parse_fusion(fusion) if isinstance(fusion, str) else fusion,
        depth=depth,
        batch=batch,
        threads=threads,
        progress=progress,
    )


def _asked(queries: Mapping[str, str] | Sequence[str] | str | Path) -> dict[str, str]:
    if isinstance(queries, str) and not Path(queries).exists() and " " in queries.strip():
        raise TextError(f"no file {queries!r}; a query by itself goes into a list: [{queries!r}]")
    if isinstance(queries, str | Path):
        return named_queries(queries)
    if isinstance(queries, Mapping):
        return dict(queries)
    return {str(number): text for number, text in enumerate(queries)}
