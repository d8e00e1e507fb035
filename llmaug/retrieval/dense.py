"""The dense side of an index: texts encoded once, put under FAISS, and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.known_models import MODELS
from llmaug.request import Embedder
from llmaug.retrieval import ann_choice
from llmaug.retrieval.ann import VectorIndex, check_factory
from llmaug.retrieval.ann_exact import ExactAnswers, exact_answers
from llmaug.retrieval.ann_recall import Recall, measure_recall, out_of_reach, tune
from llmaug.retrieval.document_file import DocumentFile
from llmaug.retrieval.documents import contents
from llmaug.retrieval.revision import Recalled
from llmaug.retrieval.settings import Settings
from llmaug.retrieval.vectors import VectorStore

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[str, int, int | None], None]  # what is done, how much of it, of how much
MOST_QUERIES = 1_000  # that recall is measured by


def build_dense(
    path: Path,
    kept: DocumentFile,
    store: VectorStore,
    *,
    keys: np.ndarray,
    embedder: Embedder,
    settings: Settings,
    queries: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Encode the documents that the store lacks, write their FAISS index, measure what it finds.

    Returns what the manifest says of it. Recall is measured by `queries` where the index is
    approximate and there are some, else by a sample of the documents.
    """
    factory = settings.factory
    if factory == "auto":
        factory = ann_choice.choose(len(keys), store.dimension, memory=settings.memory)
    check_factory(factory, count=len(keys), dimension=store.dimension)  # before the long work
    before = embedder.encoded if isinstance(embedder, Recalled) else 0
    encoded = store.fill(
        lambda places: [contents(kept[int(place)]) for place in places],
        keys,
        progress=lambda done, total: progress("vectors", done, total),
        name=lambda place: f"document {kept.ids[place]!r}",
    )
    rows = store.rows(keys)

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
    asked = queries if factory != "Flat" else ()
    answers = exact_answers(
        blocks,
        len(index),
        index.dimension,
        k=settings.recall_k,
        queries=embedder.encode(asked, side="query") if asked else None,
        seed=settings.seed,
        threads=settings.threads,
    )
    recall = _recall(index, answers, settings)
    index.save(path)
    return {
        "embedder": {
            "name": _name(embedder),
            "fingerprint": embedder.fingerprint,
            "parameters": dict(embedder.parameters),
            "query_prompt": embedder.prompt("query"),
            "probe": store.probe,
        },
        "dimension": store.dimension,
        "factory": factory,
        "effort_name": index.effort_name,
        "effort": recall.effort,
        "recall": asdict(recall),
        "encoded": embedder.encoded - before if isinstance(embedder, Recalled) else encoded,
    }


def _name(embedder: Embedder) -> str:
    """The embedder's name as it can be found from any folder."""
    given = Path(embedder.name).expanduser()
    local = embedder.name not in MODELS and given.is_dir()
    return str(given.resolve()) if local else embedder.name


def _recall(index: VectorIndex, answers: ExactAnswers, settings: Settings) -> Recall:
    """What the index finds of the true neighbours, at the effort that the settings ask for."""
    if settings.min_recall is None:
        return measure_recall(index, answers, threads=settings.threads)
    tuned = tune(index, answers, min_recall=settings.min_recall, threads=settings.threads)
    if not tuned.reached:
        raise out_of_reach(tuned, index, min_recall=settings.min_recall)
    return tuned.recall
