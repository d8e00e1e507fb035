"""An index as a retriever of PyTerrier, and a plan as a rewriter of queries.

`LlmaugRetriever("index") % 10 >> reranker`, `LlmaugExpander("query2doc()", lm=…) >> bm25`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import MissingExtra, TextError
from llmaug.plan import Step
from llmaug.request import Backend
from llmaug.retrieval.combine import Combination
from llmaug.retrieval.expander import Expander
from llmaug.retrieval.fuse import Fusion
from llmaug.retrieval.index import Index
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.search import search
from llmaug.retrieval.topics import expanded_queries, text_of

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

try:
    from pyterrier import Transformer, validate
    from pyterrier.model import push_queries
except ModuleNotFoundError as lacking:
    if lacking.name != "pyterrier":
        raise
    Transformer, validate, push_queries = object, None, None

FOUND = ("docno", "score", "rank")  # what a search adds to the columns of its queries


class LlmaugRetriever(Transformer):  # type: ignore[misc]  # PyTerrier has no types
    """A search of an index that maps a frame of queries to one of documents, best first.

    `k`, `mode` and `fusion` are those of `llmaug.search`; PyTerrier's `GridSearch` may set them.
    Raises `MissingExtra` where pyterrier is not installed.
    """

    def __init__(
        self,
        index: Index | str | Path,
        *,
        k: int = 1000,
        mode: str | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        if validate is None:
            raise MissingExtra("pyterrier", "pyterrier")
        self.index = index if isinstance(index, Index) else Index.open(index)
        self.k, self.mode, self.fusion = k, self.index.mode(mode), fusion

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The documents found for each row of `inp`, which has `qid` and `query` and no `docno`.

        Further columns of a query are repeated on each of its documents. Raises PyTerrier's
        `InputValidationError` for other columns and `TextError` for a query that is no text.
        """
        validate.query_frame(inp, extra_columns=["query"], context=self)
        # Rows are searched by their place: a frame may hold one qid twice.
        texts = {str(row): text for row, text in enumerate(query_texts(inp))}
        return hits(inp, search(self.index, texts, k=self.k, mode=self.mode, fusion=self.fusion))

    def __repr__(self) -> str:
        fusion = f", fusion={self.fusion}" if self.fusion else ""
        return f"LlmaugRetriever({self.index.name!r}, k={self.k}, mode={self.mode!r}{fusion})"


class LlmaugExpander(Transformer):  # type: ignore[misc]  # PyTerrier has no types
    """A rewriter: maps a frame of queries to one with what a plan wrote added to each query.

    One row stays one row, as with PyTerrier's own rewriters: `query` is query and expansions as
    one text, as `combine` says (`concat(repeat=5)`, `mugi_concat()`), and the query before it
    is in `query_0`. A query for which nothing usable was written stays as it is. Terrier's own
    query language gives signs a meaning, so put `pt.rewrite.tokenise()` before its retrievers.
    Raises `MissingExtra` where pyterrier is not installed.
    """

    def __init__(
        self,
        plan: str | Step,
        *,
        lm: str | Backend | None = None,
        combine: Combination | str = "concat()",
        index: Index | str | Path | None = None,
        cache: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        if validate is None:
            raise MissingExtra("pyterrier", "pyterrier")
        self.combine = text_of(combine)
        searched = Index.open(index) if isinstance(index, str | Path) else index
        self.expander = Expander(plan, lm=lm, index=searched, cache=cache, seed=seed)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The frame with each `query` expanded and the one before in `query_0`.

        Equal queries are expanded once. Raises PyTerrier's `InputValidationError` for other
        columns, `TextError` for a query that is no text, `RowsFailed` where the model fails.
        """
        validate.query_frame(inp, extra_columns=["query"], context=self)
        texts = query_texts(inp)
        longer = expanded_texts(self.expander, list(dict.fromkeys(texts)), combine=self.combine)
        pushed = push_queries(inp)
        pushed["query"] = [longer[text] for text in texts]
        return pushed

    def __repr__(self) -> str:
        return f"LlmaugExpander({str(self.expander.plan)!r}, combine={str(self.combine)!r})"


def expanded_texts(
    expander: Expander, queries: Sequence[str], *, combine: Combination | str
) -> dict[str, str]:
    """Distinct queries, each with the one text that it and its expansions make."""
    written = expander.batch(list(queries))
    return expanded_queries(
        {query: query for query in queries},
        {query: more for query, (_, *more) in zip(queries, written, strict=True)},
        combine=combine,
    )


def query_texts(queries: pd.DataFrame) -> list[str]:
    """The texts of a frame of queries; `TextError` for a number or a missing value among them."""
    texts: list[Any] = queries["query"].tolist()
    for qid, text in zip(queries["qid"], texts, strict=True):
        if not isinstance(text, str):
            raise TextError(f"the query of qid {qid!r} is {text!r}, not a text")
    return texts


def hits(queries: pd.DataFrame, rankings: Rankings) -> pd.DataFrame:
    """One row per query and document: the query's columns, `docno`, `score`, `rank` from 0.

    `rankings` has the queries in the order of their rows.
    """
    import pandas as pd

    per_query = [len(ranking) for ranking in rankings.values()]
    asked = queries.drop(columns=list(FOUND), errors="ignore").reset_index(drop=True)
    frame = asked.loc[asked.index.repeat(per_query)].reset_index(drop=True)
    pairs = [pair for ranking in rankings.values() for pair in ranking.items()]
    frame["docno"] = pd.Series([docno for docno, _ in pairs], dtype=object)
    frame["score"] = pd.Series([score for _, score in pairs], dtype=float)
    frame["rank"] = pd.Series([rank for n in per_query for rank in range(n)], dtype="int64")
    return frame
