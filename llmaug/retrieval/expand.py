"""Searching with expansions, for the queries that are worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from llmaug.errors import RetrievalError
from llmaug.formats.fields import short
from llmaug.retrieval.collection import named_queries
from llmaug.retrieval.combine import Combination, combination, default_combination
from llmaug.retrieval.expansions import Expansions, read_expansions, usable
from llmaug.retrieval.fuse import Fusion, parse_fusion
from llmaug.retrieval.index_reader import BATCH, DEPTH, IndexReader
from llmaug.retrieval.rankings import Rankings


class ExpandedSearch(NamedTuple):
    """Rankings, and how many queries were searched in which way.

    `plain` were left as they are by the gate and `empty` for want of a usable expansion.
    `truncated` are expanded ones of which the encoder did not read all that was to be one text;
    None where it cannot tell.
    """

    rankings: Rankings
    expanded: int
    plain: int
    empty: int
    truncated: int | None

    def counts(self) -> str:
        """The numbers in one line."""
        parts = [f"{len(self.rankings):,} queries: {self.expanded:,} expanded"]
        if self.plain:
            parts.append(f"{self.plain:,} left as they are by the gate")
        if self.empty:
            parts.append(f"{self.empty:,} without a usable expansion, searched as they are")
        if self.truncated:
            parts.append(f"{self.truncated:,} longer than the encoder reads, their end cut off")
        return ", ".join(parts)


def search_expanded(
    index: IndexReader | str | Path,
    queries: Mapping[str, str] | str | Path,
    expansions: Expansions | str | Path,
    *,
    k: int = 100,
    mode: str | None = None,
    combine: Combination | Fusion | str | None = None,
    gate: Mapping[str, bool] | None = None,
    fusion: Fusion | str | None = None,
    depth: int = DEPTH,
    batch: int = BATCH,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExpandedSearch:
    """The `k` best documents of every query {id: text}, with the help of its expansions.

    `combine` says how they are used; None takes what is best in the mode. `gate` says for each
    query whether it is expanded, None expands all. A query that is not, or that has no expansion,
    gets exactly its plain ranking. The rest is as in `llmaug.search`. Raises `PlanError` for a
    combination that cannot serve the mode, `RetrievalError` where gate or expansions are those of
    other queries.
    """
    opened = index if isinstance(index, IndexReader) else IndexReader(index)
    asked = queries if isinstance(queries, Mapping) else named_queries(queries)
    written = (
        expansions
        if isinstance(expansions, Mapping)
        else read_expansions(expansions, queries=asked)
    )
    mode = opened.mode(mode)
    rule = parse_fusion(fusion) if isinstance(fusion, str) else fusion
    how = default_combination(mode, fusion=rule) if combine is None else combination(combine)
    how.check(mode)
    chosen = _chosen(asked, gate)
    used = {id: some for id in chosen if (some := usable(written.get(id, []), query=asked[id]))}
    if chosen and written and not used and not any(id in asked for id in written):
        raise RetrievalError(
            f"the expansions are of other queries: none of their ids ({short(next(iter(written)))},"
            f" …) is among those of the queries ({short(next(iter(asked)))}, …)"
        )
    rankings = how.search(
        opened,
        asked,
        used,
        k=k,
        mode=mode,
        fusion=rule,
        depth=depth,
        batch=batch,
        threads=threads,
        progress=progress,
    )
    return ExpandedSearch(
        rankings,
        expanded=len(used),
        plain=len(asked) - len(chosen),
        empty=len(chosen) - len(used),
        truncated=_truncated(opened, how, mode, asked=asked, used=used),
    )


def _chosen(queries: Mapping[str, str], gate: Mapping[str, bool] | None) -> list[str]:
    """The ids of the queries that are to be expanded."""
    if gate is None:
        return list(queries)
    for id in queries:
        if id not in gate:
            raise RetrievalError(f"the gate says nothing of query {short(id)!r}; ask it for all")
    return [id for id in queries if gate[id]]


def _truncated(
    index: IndexReader,
    how: Combination,
    mode: str,
    *,
    asked: Mapping[str, str],
    used: Expansions,
) -> int | None:
    if mode == "bm25":
        return 0
    texts = [how.dense_text(asked[id], found) for id, found in used.items()]
    joined = [text for text in texts if text is not None]
    if not joined:
        return 0
    fits = getattr(index.embedder, "fits", None)
    return None if fits is None else fits(joined, side="query").count(False)
