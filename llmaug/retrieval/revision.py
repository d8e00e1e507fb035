"""Documents added to an index, taken out of it, and several indexes as one.

An index after any of these equals one built from the documents that it then has: the parts that
are cheap are made again, and vectors, which are not, come from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmaug.errors import RetrievalError
from llmaug.request import Embedder
from llmaug.retrieval.vectors import VectorStore, key
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np


class Added:
    """The documents of an index with others behind them, which replace those of the same id."""

    def __init__(self, before: Iterable[Text], added: Iterable[Text]) -> None:
        self.before = before
        # Read twice: once for the ids alone.
        self.added = list(added) if isinstance(added, Iterator) else added

    def __iter__(self) -> Iterator[Text]:
        replaced = {document.id for document in self.added}
        yield from (document for document in self.before if document.id not in replaced)
        yield from self.added


def without(documents: Iterable[Text], ids: Sequence[str], *, name: str) -> list[Text] | Any:
    """The documents of an index but for those; raises `RetrievalError` for an id it has not."""
    gone = set(ids)
    there = {document.id for document in documents} & gone
    if unknown := sorted(gone - there):
        raise RetrievalError(
            f"{name} has no document {unknown[0]!r}"
            + (f", nor {len(unknown) - 1:,} more of those to delete" if unknown[1:] else "")
            + "; nothing was deleted"
        )
    return (document for document in documents if document.id not in gone)


def refuse_mixture(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise `RetrievalError` unless indexes (name, what their manifest says) are of one kind."""
    if not parts:
        raise RetrievalError("name the indexes to merge")
    first, about = parts[0]
    for name, other in parts[1:]:
        for side, words in (("dense", "vectors"), ("lexical", "words")):
            if bool(other[side]) != bool(about[side]):
                has, lacks = (name, first) if other[side] else (first, name)
                raise RetrievalError(
                    f"{has} is searched by {words} and {lacks} is not; merge indexes of one kind"
                )
        if about["dense"]:
            ours, theirs = about["dense"]["embedder"], other["dense"]["embedder"]
            if ours["fingerprint"] != theirs["fingerprint"]:
                raise RetrievalError(
                    f"{name} was made by {theirs['name']}@{theirs['fingerprint']} and {first} by "
                    f"{ours['name']}@{ours['fingerprint']}; index one of them again"
                )


class Recalled:
    """An embedder that first looks in vector stores for what it is asked to encode."""

    def __init__(self, embedder: Embedder, stores: Sequence[VectorStore]) -> None:
        self.embedder, self.stores = embedder, stores
        self.name, self.fingerprint = embedder.name, embedder.fingerprint
        self.parameters: Mapping[str, Any] = embedder.parameters
        self.batch = max(1024, embedder.batch)
        self.encoded = 0  # texts that no store had

    def prompt(self, side: str) -> str:
        return self.embedder.prompt(side)

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        import numpy as np

        if side != "document" or not texts:
            return self.embedder.encode(texts, side=side)
        keys = np.frombuffer(b"".join(map(key, texts)), dtype="V16")
        vectors = np.zeros((len(texts), self.stores[0].dimension), dtype=np.float32)
        missing = np.ones(len(texts), dtype=bool)
        for store in self.stores:
            rows = store.rows(keys)
            here = missing & (rows >= 0)
            vectors[here] = store.block(rows[here])
            missing &= ~here
        if missing.any():
            left = np.flatnonzero(missing).tolist()
            self.encoded += len(left)
            vectors[left] = self.embedder.encode([texts[i] for i in left], side=side)
        return vectors
