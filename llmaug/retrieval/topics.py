"""Expanded queries as one text each, for tools that search with text alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmaug.errors import OutputError, PlanError
from llmaug.formats.atomic import new_file
from llmaug.formats.endings import check_output, ending, packed
from llmaug.retrieval.combine import Combination, combination
from llmaug.retrieval.combine_text import OneText
from llmaug.retrieval.expansions import Expansions


def text_of(combine: Combination | str) -> OneText:
    """The combination, where it is one that makes a single text; else `PlanError`."""
    how = combination(combine)
    if not isinstance(how, OneText):
        raise PlanError(f"{how} makes no single text of a query; take concat() or mugi_concat()")
    return how


def expanded_queries(
    queries: Mapping[str, str],
    expansions: Expansions,
    *,
    combine: Combination | str = "concat()",
) -> dict[str, str]:
    """Each query {id: text} and its expansions as one text; as it is where it has none."""
    how = text_of(combine)
    return {
        id: how.text(query, expansions[id]) if expansions.get(id) else query
        for id, query in queries.items()
    }


def check_topics(path: str | Path) -> None:
    """Raise what `write_topics` would certainly raise for this path."""
    if ending(Path(path)) != ".tsv":
        raise OutputError(f"{path}: topics are written as id<TAB>text; end the name with .tsv")
    check_output(path if isinstance(path, Path) else Path(path))


def write_topics(
    path: str | Path,
    queries: Mapping[str, str],
    expansions: Expansions,
    *,
    combine: Combination | str = "concat()",
) -> int:
    """Write topics that Pyserini and Anserini read, and return how many there were.

    Lines of `id<TAB>text` without a header, every query on one of its own: white space in a text
    becomes one blank. Whole or not at all.
    """
    check_topics(path)
    path, texts = Path(path), expanded_queries(queries, expansions, combine=combine)
    with new_file(path) as unfinished, packed(unfinished, path.suffix.lower()) as file:
        for id, text in texts.items():
            file.write(f"{id}\t{' '.join(text.split())}\n".encode())
    return len(texts)
