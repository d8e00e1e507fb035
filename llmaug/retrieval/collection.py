"""Collections: a corpus, the queries asked of it, and the judgements of which documents answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NoReturn

from llmaug.errors import TextError
from llmaug.formats.fields import short
from llmaug.formats.seen import Seen
from llmaug.retrieval import catalogues
from llmaug.retrieval.documents import contents, read_corpus
from llmaug.retrieval.qrels import SPLIT, Qrels, read_qrels
from llmaug.retrieval.queries import QUERIES, read_queries
from llmaug.text import Text

__all__ = ["Collection", "Finding", "contents", "named_qrels", "named_queries", "read_queries"]

EXAMPLES = 3  # of each finding


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a collection that its user may not expect: how many, and the first few."""

    what: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        such = f" ({', '.join(self.examples)}{', …' * (self.count > len(self.examples))})"
        return f"{self.what}: {self.count:,}{such if self.examples else ''}"


@dataclass(frozen=True, slots=True)
class Collection:
    """A corpus with queries and relevance judgements; the last two may be empty.

    `documents` is read from its file whenever it is iterated over; `queries` holds all of the
    file, also those that `qrels` does not judge.
    """

    name: str
    documents: Iterable[Text]
    queries: dict[str, str] = field(default_factory=dict)
    qrels: Qrels = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        name: str | Path,
        *,
        split: str = SPLIT,
        text: str | None = None,
        id: str | None = None,
        queries: str | Path | None = None,
        qrels: str | Path | None = None,
        limit: int | None = None,
    ) -> Collection:
        """A BEIR folder, a file of documents, TREC files, `irds:NAME` or `hf:NAME`.

        `split` says which `qrels/SPLIT.tsv` of a BEIR folder, or which split of `hf:NAME`, is
        read; `queries` and `qrels` name files that are read instead of the collection's own.
        `text` and `id` name the fields of the documents, `limit` how many of them are read.
        Raises `TextError` with file and line for what cannot be read.
        """
        if str(name).startswith(catalogues.PREFIXES):
            parts = catalogues.read(str(name), split=split, text=text, id=id, limit=limit)
        else:
            folder = Path(name)
            parts = catalogues.Parts(
                lambda: read_corpus(name, text=text, id=id, limit=limit),
                lambda: _queries_in(folder),
                lambda: _qrels_in(folder, split),
            )
        return cls(
            str(name),
            parts.documents(),
            parts.queries() if queries is None else named_queries(queries),
            parts.qrels() if qrels is None else named_qrels(qrels),
        )

    @property
    def judged_queries(self) -> dict[str, str]:
        """The queries with judgements: those over which measures are averaged."""
        return {id: text for id, text in self.queries.items() if id in self.qrels}

    def check(self) -> list[Finding]:
        """What does not fit together, with counts; reads all documents once.

        With `limit` the judgements of documents beyond it point outside the corpus.
        """
        outside = {document for judged in self.qrels.values() for document in judged}
        empty = _Tally("documents without title and text")
        same = _Tally("documents with the same title and text as one before them")
        with Seen(Path(self.name)) as seen:
            for number, document in enumerate(self.documents, 1):
                outside.discard(document.id)
                whole = contents(document)
                if not whole:
                    empty.add(document.id)
                elif seen.before(_hash(whole), number):
                    same.add(document.id)
        pointing = _Tally("judgements of documents that the corpus lacks")
        for judged in self.qrels.values():
            pointing.add(*(document for document in judged if document in outside))
        unasked = _Tally("judged queries that the queries lack")
        unasked.add(*(query for query in self.qrels if query not in self.queries))
        unjudged = _Tally("queries without judgements")
        unjudged.add(*(query for query in self.queries if query not in self.qrels))
        tallies = (pointing, unasked, unjudged, empty, same)
        return [tally.finding() for tally in tallies if tally.count]


class _Tally:
    """Counts ids of one kind and keeps the first few."""

    def __init__(self, what: str) -> None:
        self.what, self.count, self.first = what, 0, list[str]()

    def add(self, *ids: str) -> None:
        self.first += ids[: EXAMPLES - len(self.first)]
        self.count += len(ids)

    def finding(self) -> Finding:
        return Finding(self.what, self.count, tuple(map(short, self.first)))


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _queries_in(folder: Path) -> dict[str, str]:
    """The queries of a BEIR folder; none where it has no such file."""
    has = any((folder / name).is_file() for name in (QUERIES, f"{QUERIES}.gz"))
    return read_queries(folder) if has else {}


def _qrels_in(folder: Path, split: str) -> Qrels:
    """The judgements of a BEIR folder for one split; none where it has no qrels at all."""
    return read_qrels(folder, split=split) if any(folder.glob("qrels/*.tsv*")) else {}


def named_queries(name: str | Path) -> dict[str, str]:
    """The queries of a file, a BEIR folder, `irds:NAME` or `hf:NAME`; at least one."""
    if not str(name).startswith(catalogues.PREFIXES):
        return read_queries(name)
    return _without_documents(name).queries() or _lacking(name, "queries")


def named_qrels(name: str | Path, *, split: str | None = None) -> Qrels:
    """The judgements of a file, a BEIR folder, `irds:NAME` or `hf:NAME`; at least one.

    `split` (test) is for a folder and for `hf:`. Raises `TextError` for one given with a file.
    """
    if split is not None and not str(name).startswith(catalogues.HF) and not Path(name).is_dir():
        raise TextError(f"the split {split} is for a BEIR folder, and {name} is none; leave it out")
    if not str(name).startswith(catalogues.PREFIXES):
        return read_qrels(name, split=split or SPLIT)
    return _without_documents(name, split=split or SPLIT).qrels() or _lacking(name, "judgements")


def _without_documents(name: str | Path, *, split: str = SPLIT) -> catalogues.Parts:
    """The parts of a catalogued collection, whose corpus may be too large to fetch for less."""
    return catalogues.read(str(name), split=split, text=None, id=None, limit=None)


def _lacking(name: str | Path, what: str) -> NoReturn:
    raise TextError(f"{name} has no {what}; name a file of them")
