"""What expansions did to the ranking of one query, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmaug.retrieval.combine import Combination, combination, default_combination
from llmaug.retrieval.documents import contents
from llmaug.retrieval.expansions import usable
from llmaug.retrieval.fuse import Fusion, parse_fusion
from llmaug.retrieval.index_reader import DEPTH, IndexReader
from llmaug.text import Text

WIDTH, MOST_LINES = 100, 6  # of an expansion as it is shown
MOST_WORDS, MOST_TITLE = 6, 40  # of a document

LONG = 100  # characters of a line


@dataclass(frozen=True, slots=True)
class Moved:
    """A document that is among the best before or after.

    Ranks count from 1; None where the search did not find it. The cosines are those to the query
    and to the nearest expansion, None without vectors. `words` are stems of the expansions, not
    of the query, that the document has, rarest first.
    """

    id: str
    title: str
    before: int | None
    after: int | None
    to_query: float | None
    to_expansion: float | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One query with and without its expansions; prints as a table.

    `moved` are the documents of the `k` best after, in that order, then those that left.
    """

    id: str
    query: str
    expansions: tuple[str, ...]
    how: str
    mode: str
    k: int
    moved: tuple[Moved, ...]

    def __str__(self) -> str:
        first = f"query {self.id}: {self.query}"
        said = [first if len(first) < LONG else _wrapped(first)]
        for number, text in enumerate(self.expansions, 1):
            said += ["", f"expansion {number} of {len(self.expansions)}:", _wrapped(text)]
        if not self.expansions:
            said += ["", "no usable expansion: searched as it is"]
        said += ["", f"{self.mode}, {self.how}, the {self.k} best", ""]
        rows = [["now", "before", "query", "expansion", "document", "words of the expansion"]]
        rows += map(_row, self.moved)
        widths = [max(len(row[at]) for row in rows) for at in range(5)]
        for row in rows:
            numbers = [cell.rjust(width) for cell, width in zip(row[:4], widths, strict=False)]
            said.append("  ".join([*numbers, row[4].ljust(widths[4]), row[5]]).rstrip())
        return "\n".join(said)


def explain(
    index: IndexReader | str | Path,
    query: str,
    expansions: Sequence[str],
    *,
    id: str = "",
    k: int = 10,
    mode: str | None = None,
    combine: Combination | Fusion | str | None = None,
    fusion: Fusion | str | None = None,
    depth: int = DEPTH,
) -> Explanation:
    """Search for one query with and without its expansions, and tell what moved among the k best.

    The documents shown are encoded again for their cosines.
    """
    opened = index if isinstance(index, IndexReader) else IndexReader(index)
    mode = opened.mode(mode)
    rule = parse_fusion(fusion) if isinstance(fusion, str) else fusion
    how = default_combination(mode, fusion=rule) if combine is None else combination(combine)
    deep, one, written = max(k, depth), {"": query}, usable(expansions, query=query)
    found = how.search(opened, one, {"": written}, k=deep, mode=mode, fusion=rule, depth=deep)
    plain = opened.search(one, k=deep, mode=mode, fusion=rule, depth=deep)
    before, after = ({d: r for r, d in enumerate(each[""], 1)} for each in (plain, found))
    shown = list(dict.fromkeys([*list(after)[:k], *list(before)[:k]]))
    documents = [opened.document(document) for document in shown]
    cosines = _cosines(opened, documents, query, written) if mode != "bm25" else None
    matched = _matched(opened, documents, query, written) if mode != "dense" else None
    moved = tuple(
        Moved(
            document.id,
            str(document.meta.get("title") or document.text),
            before.get(document.id),
            after.get(document.id),
            cosines[place][0] if cosines else None,
            cosines[place][1] if cosines else None,
            matched[place] if matched else (),
        )
        for place, document in enumerate(documents)
    )
    return Explanation(id, query, tuple(written), str(how), mode, k, moved)


def _cosines(
    index: IndexReader, documents: Sequence[Text], query: str, expansions: Sequence[str]
) -> list[tuple[float, float | None]]:
    """Of each document to the query, and to the nearest expansion."""
    there = index.embedder.encode([contents(text) for text in documents], side="document")
    similar = there @ index.encode([query, *expansions]).T
    return [
        (float(row[0]), float(row[1:].max()) if expansions else None)  # one of several is enough
        for row in similar
    ]


def _matched(
    index: IndexReader, documents: Sequence[Text], query: str, expansions: Sequence[str]
) -> list[tuple[str, ...]]:
    """The stems of each document that the expansions have and the query lacks, rarest first."""
    assert index.lexical is not None  # the mode says so
    asked, written, *held = index.lexical.document_frequencies(
        [query, " ".join(expansions), *map(contents, documents)]
    )
    new = sorted(written.keys() - asked.keys(), key=lambda stem: (written[stem], stem))
    return [tuple(stem for stem in new if stem in stems) for stems in held]


def _row(moved: Moved) -> list[str]:
    listed = ", ".join(moved.words[:MOST_WORDS])
    if len(moved.words) > MOST_WORDS:
        listed += f" and {len(moved.words) - MOST_WORDS} more"
    title = textwrap.shorten(moved.title, MOST_TITLE, placeholder="…")
    return [
        *(str(rank) if rank else "-" for rank in (moved.after, moved.before)),
        *("-" if c is None else f"{c:.3f}" for c in (moved.to_query, moved.to_expansion)),
        f"{moved.id} {title}",
        listed,
    ]


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, WIDTH - 2, max_lines=MOST_LINES, placeholder=" …")
    return textwrap.indent("\n".join(lines), "  ")
