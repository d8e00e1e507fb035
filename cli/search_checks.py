"""What a search is refused for before it begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import LlmaugError, OutputError, PlanError, TextError

if TYPE_CHECKING:
    from llmaug.cli.expanding import Expanding


def check_asked(
    queries: str | None, query: list[str] | None, output: str | None, *, explain: str | None
) -> None:
    """Raise the error of queries that are given twice, not at all, or without a place to go."""
    if (queries is None) == (not query):
        raise LlmaugError("give a file of queries, or -q QUERY")
    if any(not text.strip() for text in query or ()):
        raise TextError("a query of -q is empty; give the words to search for")
    if queries is not None and output is None and explain is None:
        raise LlmaugError("name a file for the rankings: -o run.trec, or -o - for stdout")


def check_output(
    output: str | None, folder: Path, *, tag: str, read: Sequence[str | Path | None]
) -> None:
    """Raise the error that writing the rankings of an index in `folder` would end in.

    `read` are the other files that the search reads or writes.
    """
    from llmaug.formats.atomic import check_file
    from llmaug.formats.lines import zstandard
    from llmaug.retrieval.queries import QUERIES
    from llmaug.retrieval.rankings import check_ids

    if output in (None, "-"):
        if sys.stdout is None:
            raise OutputError("standard output is closed; name a file with -o run.trec")
        check_ids((tag,), what="tag", path=Path("standard output"))
        return
    path = Path(str(output))
    check_ids((tag,), what="tag", path=path)
    if path.suffix.lower() == ".zst":
        zstandard()
    check_file(path)
    real = Path(os.path.realpath(path))
    if real.is_relative_to(os.path.realpath(folder)):
        raise OutputError(f"{output} is inside the index {folder}; name a file outside it")
    for other in read:
        if not other:
            continue
        for same in (Path(other), Path(other, QUERIES), Path(other, f"{QUERIES}.gz")):
            if real == Path(os.path.realpath(same)):
                raise OutputError(f"the rankings would replace {same}; name another file with -o")


def check_kept(save: Path | None, *, others: Sequence[str | Path | None]) -> None:
    """Raise `OutputError` where kept expansions would replace what the search reads or writes."""
    for other in others:
        if save and other and os.path.realpath(save) == os.path.realpath(other):
            raise OutputError(
                f"--save-expansions would replace {other}; name another file for the expansions"
            )


def check_fusion(
    fusion: str | None, depth: int | None, *, mode: str, expanding: Expanding | None
) -> None:
    """Raise `PlanError` where a fusion is described and the search has none."""
    from llmaug.retrieval.combine import default_combination

    own = expanding and expanding.combine
    if fusion is not None and own and (own.fuses or not own.sides):
        raise PlanError(
            f"--fusion does not reach into --combine {own}, which has its own; write it there"
        )
    if mode == "hybrid":
        return
    if fusion is not None:
        raise PlanError(f"--fusion is for --mode hybrid, and this search is by {mode}; leave it")
    combine = expanding and (expanding.combine or default_combination(mode))
    if depth is not None and not (combine and combine.fuses):
        raise PlanError(
            f"--depth is for --mode hybrid or a --combine that fuses rankings, and this search "
            f"is by {mode}; leave it"
        )
