"""Building an index: documents, vectors, FAISS, BM25, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug import __version__
from llmaug.errors import RetrievalError, TextError
from llmaug.request import Embedder
from llmaug.retrieval import index_folder
from llmaug.retrieval.collection import Collection, contents
from llmaug.retrieval.dense import Progress, build_dense
from llmaug.retrieval.document_file import (
    DOCUMENTS,
    IDS,
    OFFSETS,
    DocumentFile,
    write_documents,
)
from llmaug.retrieval.lexical import LexicalIndex
from llmaug.retrieval.settings import Settings
from llmaug.retrieval.top import tie_ranks
from llmaug.retrieval.vectors import VectorStore, key
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

DENSE, LEXICAL, TIE_RANK = "dense.faiss", "bm25", "tie_rank.npy"
FILES = (DOCUMENTS, OFFSETS, IDS, TIE_RANK)  # of every index


def silent(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


def documents_of(corpus: str | Path | Collection | Iterable[Text]) -> Iterable[Text]:
    """The documents of whatever names a corpus."""
    if isinstance(corpus, str | Path):
        return Collection.read(corpus).documents
    return corpus.documents if isinstance(corpus, Collection) else corpus


def build(
    documents: Iterable[Text],
    folder: Path,
    *,
    embedder: Embedder | None,
    settings: Settings,
    queries: Sequence[str] = (),
    vectors: Path | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> None:
    """Put an index of the documents into force in a folder; see `Index.build`.

    `queries` are some that will be asked: recall is measured by them rather than by documents.
    """
    if embedder is None and settings.lexical is None:
        raise RetrievalError("an index needs an embedder, BM25 or both")
    about: dict[str, Any] = {"llmaug": __version__, "settings": settings.record()}
    about["vectors"] = str(vectors.resolve()) if vectors else None
    with index_folder.alone(folder), index_folder.new_edition(folder, about) as edition:
        keys, empty = _write_documents(edition, documents, progress)
        kept = DocumentFile(edition)
        about |= {"documents": len(kept), "empty": empty, "dense": None, "lexical": None}
        import numpy as np

        np.save(edition / TIE_RANK, tie_ranks(kept.ids), allow_pickle=False)
        if embedder is not None:
            store = VectorStore(
                vectors or folder / index_folder.VECTORS,
                embedder=embedder,
                dtype=settings.dtype,
                fresh=fresh,
            )
            about["dense"] = build_dense(
                edition / DENSE,
                kept,
                store,
                keys=keys,
                embedder=embedder,
                settings=settings,
                queries=queries,
                progress=progress,
            )
        if settings.lexical is not None:
            words = LexicalIndex.build(
                _counted(map(contents, kept), "words", len(kept), progress), settings.lexical
            )
            words.save(edition / LEXICAL)
            about["lexical"] = {"settings": str(settings.lexical)}
        about["identity"] = _identity(edition, about)


def _write_documents(
    edition: Path, documents: Iterable[Text], progress: Progress
) -> tuple[np.ndarray, int]:
    """The documents' texts as keys of the vector store, and how many of them are empty."""
    import numpy as np

    keys, empty, total = bytearray(), 0, getattr(documents, "row_estimate", lambda: None)()

    def each(document: Text) -> None:
        nonlocal empty
        text = contents(document)
        keys.extend(key(text))
        empty += not text
        if len(keys) % (16 * 1024) == 0:
            progress("documents", len(keys) // 16, total)

    count = write_documents(edition, documents, each=each)
    if not count:
        raise TextError("the corpus is empty: there is nothing to index")
    progress("documents", count, count)
    return np.frombuffer(keys, dtype="V16"), empty


def _identity(edition: Path, about: dict[str, Any]) -> str:
    """SHA-256 over what decides the result of a search."""
    digest = hashlib.sha256()
    with (edition / DOCUMENTS).open("rb") as lines:
        digest.update(hashlib.file_digest(lines, "sha256").digest())
    dense = about["dense"] or {}
    decides = [about["settings"], *(dense.get(name) for name in ("embedder", "factory", "effort"))]
    digest.update(json.dumps(decides, sort_keys=True).encode())
    return digest.hexdigest()


def _counted(texts: Iterable[str], stage: str, total: int, progress: Progress) -> Iterator[str]:
    for done, text in enumerate(texts, 1):
        yield text
        if done % 1024 == 0 or done == total:
            progress(stage, done, total)


def described(about: dict[str, Any]) -> str:
    """An index in one line."""
    parts = [f"{about['documents']:,} documents"]
    if dense := about["dense"]:
        parts.append(f"{dense['factory']} over {dense['embedder']['name']}, {dense['dimension']}d")
    if lexical := about["lexical"]:
        parts.append(lexical["settings"])
    return ", ".join(parts)
