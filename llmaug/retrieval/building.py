"""Building an index: documents, vectors, FAISS, BM25, all of it or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug import __version__
from llmaug.errors import PlanError, RetrievalError, TextError
from llmaug.request import Embedder
from llmaug.retrieval import index_folder
from llmaug.retrieval.collection import Collection, contents
from llmaug.retrieval.dense import MOST_QUERIES, Progress, build_dense
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
QUERIES = "queries.json"  # that recall was measured by


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
    replaces: str | None = None,
    progress: Progress = silent,
) -> None:
    """Put an index of the documents into force in a folder; see `Index.build`.

    `queries` are some that will be asked: recall is measured by them rather than by documents.
    `replaces` is the edition that must still be in force, for a change made from it.
    """
    if embedder is None and settings.lexical is None:
        raise RetrievalError("an index needs an embedder, BM25 or both")
    about: dict[str, Any] = {"llmaug": __version__, "settings": settings.record()}
    about["vectors"] = os.path.relpath(vectors, folder) if vectors else None
    with index_folder.alone(folder), index_folder.new_edition(folder, about) as edition:
        if replaces is not None and replaces != index_folder.in_force(folder):
            raise RetrievalError(
                f"{folder} was changed since it was opened; open it again and repeat the change "
                "(add and delete return the changed index)"
            )
        asked = list(queries[:MOST_QUERIES])
        (edition / QUERIES).write_text(json.dumps(asked), encoding="ascii")
        keys, empty = _write_documents(edition, documents, progress)
        kept = DocumentFile(edition)
        about |= {"documents": len(kept), "empty": empty, "dense": None, "lexical": None}
        about["gone"] = _gone(folder, kept.ids)
        import numpy as np

        np.save(edition / TIE_RANK, tie_ranks(kept.ids), allow_pickle=False)
        if settings.lexical is not None:
            words = LexicalIndex.build(
                _counted(map(contents, kept), "words", len(kept), progress), settings.lexical
            )
            words.save(edition / LEXICAL)
            about["lexical"] = {"settings": str(settings.lexical)}
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
                queries=asked,
                progress=progress,
            )
        about["identity"] = _identity(edition, about)


def files_of(about: Mapping[str, Any]) -> list[str]:
    """The files of an edition of which the manifest says this; `RetrievalError` if it says less."""
    files = [DOCUMENTS, OFFSETS, IDS, TIE_RANK, QUERIES]
    try:
        Settings.recorded(about["settings"])
        if dense := about["dense"]:
            made = dense["embedder"]
            kinds = (
                (str, (dense["factory"], made["name"], made["fingerprint"], made["query_prompt"])),
                (int, (dense["effort"], dense["dimension"], about["documents"])),
                (list, (made["probe"],)),
                (dict, (made["parameters"], dense["recall"])),
                (str, (about["identity"],)),
            )
            if not all(isinstance(value, kind) for kind, values in kinds for value in values):
                raise TypeError("a value of another kind")
            files.append(DENSE)
        if about["lexical"]:
            files += [f"{LEXICAL}/{name}" for name in LexicalIndex.FILES]
    except (KeyError, TypeError, PlanError) as error:
        raise RetrievalError(
            f"the manifest of the index is damaged ({error!r}); build it again"
        ) from None
    return files


def _gone(folder: Path, ids: Sequence[str]) -> int:
    """How many documents of the edition in force, if there is one, are no longer among these."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        before = (folder / index_folder.in_force(folder) / IDS).read_text(encoding="utf-8")
        return len(set(before.split("\n")[:-1]) - set(ids))
    return 0


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
    for name in (DOCUMENTS, DENSE):
        if (edition / name).is_file():
            with (edition / name).open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    dense = about["dense"] or {}
    decides = [about["lexical"], *(dense.get(name) for name in ("effort", "dimension"))]
    if dense:
        decides += [dense["embedder"][name] for name in ("fingerprint", "query_prompt")]
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
