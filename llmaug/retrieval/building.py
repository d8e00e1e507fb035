"""Building an index: documents, vectors, FAISS, BM25, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug import __version__
from llmaug.errors import RetrievalError, TextError
from llmaug.request import Embedder
from llmaug.retrieval import ann_choice, index_folder
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.ann_exact import exact_answers
from llmaug.retrieval.ann_recall import Recall, measure_recall, out_of_reach, tune
from llmaug.retrieval.collection import Collection, contents
from llmaug.retrieval.document_file import DOCUMENTS, DocumentFile, write_documents
from llmaug.retrieval.lexical import LexicalIndex
from llmaug.retrieval.settings import Settings
from llmaug.retrieval.top import tie_ranks
from llmaug.retrieval.vectors import VectorStore, key
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

DENSE, LEXICAL, TIE_RANK = "dense.faiss", "bm25", "tie_rank.npy"
Progress = Callable[[str, int, int | None], None]  # what is done, how much of it, of how much


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
    vectors: Path | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> None:
    """Put an index of the documents into force in a folder; see `Index.build`."""
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
            about["dense"] = _dense(edition, kept, store, keys, embedder, settings, progress)
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


def _dense(
    edition: Path,
    kept: DocumentFile,
    store: VectorStore,
    keys: np.ndarray,
    embedder: Embedder,
    settings: Settings,
    progress: Progress,
) -> dict[str, Any]:
    """Encode what is missing, build the FAISS index, measure it; what the manifest says of it."""
    encoded = store.fill(
        lambda places: [contents(kept[int(place)]) for place in places],
        keys,
        progress=lambda done, total: progress("vectors", done, total),
        name=lambda place: f"document {kept.ids[place]!r}",
    )
    rows = store.rows(keys)
    factory = settings.factory
    if factory == "auto":
        factory = ann_choice.choose(len(keys), store.dimension, memory=settings.memory)

    def blocks(start: int, stop: int) -> np.ndarray:
        return store.block(rows[start:stop])

    index = VectorIndex.build(
        blocks,
        len(keys),
        store.dimension,
        factory=factory,
        threads=settings.threads,
        seed=settings.seed,
        progress=lambda done, total: progress("index", done, total),
    )
    recall = _measured(index, blocks, settings)
    index.save(edition / DENSE)
    return {
        "embedder": {
            "name": embedder.name,
            "fingerprint": embedder.fingerprint,
            "parameters": dict(embedder.parameters),
        },
        "dimension": store.dimension,
        "factory": factory,
        "effort_name": index.effort_name,
        "effort": recall.effort,
        "recall": asdict(recall),
        "encoded": encoded,
    }


def _measured(
    index: VectorIndex, blocks: Callable[[int, int], np.ndarray], settings: Settings
) -> Recall:
    """What the index finds of the true neighbours, at the effort that the settings ask for."""
    answers = exact_answers(
        blocks,
        len(index),
        index.dimension,
        k=settings.recall_k,
        seed=settings.seed,
        threads=settings.threads,
    )
    if settings.min_recall is None:
        return measure_recall(index, answers, threads=settings.threads)
    tuned = tune(index, answers, min_recall=settings.min_recall, threads=settings.threads)
    if not tuned.reached:
        raise out_of_reach(tuned, index, min_recall=settings.min_recall)
    return tuned.recall


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
