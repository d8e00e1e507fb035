"""A file of queries as the input of a run that expands them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmaug.retrieval.collection import named_queries
from llmaug.text import BadRow, Text, TextFile


class QueryFile(TextFile):
    """Queries as texts that carry themselves in the field `query`.

    Whatever is written for one so says what it was written for. `also` are further fields of
    every row. The file is read at once and as `named_queries` does, so it has no bad rows.
    """

    def __init__(self, path: str | Path, *, also: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.text = self.id = self.limit = None
        self.queries = named_queries(path)
        self._also = dict(also or {})

    def rows(self) -> Iterator[Text | BadRow]:
        for id, query in self.queries.items():
            yield Text(query, id, id, "", {"query": query, **self._also})

    def fields(self) -> frozenset[str]:
        return frozenset({"query", *self._also})

    def fingerprint(self) -> str:
        """SHA-256 over ids and queries, as 64 hex digits."""
        return hashlib.sha256(json.dumps(list(self.queries.items())).encode()).hexdigest()

    def row_estimate(self) -> int:
        return len(self.queries)
