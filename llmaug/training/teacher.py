"""Teachers: who says how well documents answer a query, for filtering and for distillation."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from llmaug.errors import RetrievalError
from llmaug.formats.fields import short
from llmaug.retrieval.documents import contents
from llmaug.retrieval.fuse import convex
from llmaug.retrieval.index_reader import DEPTH, IndexReader
from llmaug.training.mined import MinedPair

if TYPE_CHECKING:
    import numpy as np

AT_ONCE = 64  # queries that a teacher is asked about together


class Teacher(Protocol):
    """A judge of queries and documents.

    `fingerprint` changes when a score may. `scores` gives for each query one score for each of
    its documents (ids), in their order, from 0 (no answer) to 1 (an answer); those of one query
    are comparable, whichever documents are asked about together. It raises `RetrievalError` for an
    id that it does not know.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def scores(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]]
    ) -> list[np.ndarray]: ...


class CrossEncoderTeacher:
    """A cross-encoder for ranking in a folder, which reads the documents of an index.

    Its raw scores are put through the logistic function: so they lie between 0 and 1, a share of
    the positive's score means something where raw ones are negative, and a softmax at the
    temperature of 0.3 is neither flat nor a single one.
    """

    def __init__(self, folder: str | Path, index: IndexReader) -> None:
        from llmaug.steps import relevance

        self.name, self._index = f"cross-encoder {folder}", index
        self._model = relevance.Relevance(Path(folder))
        mark = f"{relevance.fingerprint(Path(folder))} {index.fingerprint}"
        self.fingerprint = hashlib.sha256(mark.encode()).hexdigest()[:12]

    def scores(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """All pairs of all queries go to the model in one call, which sorts them by length."""
        import numpy as np

        pairs = []
        for query, ids in zip(queries, documents, strict=True):
            known_to(self._index, ids, teacher=self.name, query=query)
            pairs += [(query, contents(self._index.document(id))) for id in ids]
        raw = self._model.scores(pairs).astype(np.float64) if pairs else np.empty(0)
        with np.errstate(over="ignore"):  # the logistic function of -1000 is 0
            scores = 1 / (1 + np.exp(-raw))
        ends = itertools.accumulate((len(ids) for ids in documents), initial=0)
        return [scores[start:end] for start, end in itertools.pairwise(ends)]


class FusionTeacher:
    """The two rankings of an index together, for where there is no cross-encoder.

    A document's score is `llmaug.retrieval.convex` of the `depth` best by cosine and by BM25, each
    brought to 0 to 1 by its lowest and highest; `weight` is the dense side's. What neither
    ranking holds scores 0. So the scores of a query do not depend on which documents are asked
    about.
    """

    def __init__(self, index: IndexReader, *, weight: float = 0.5, depth: int = DEPTH) -> None:
        index.mode("hybrid")
        if depth < 1:
            raise RetrievalError(f"the depth of a fusion teacher is at least 1, not {depth}")
        self._index, self._depth, self._fusion = index, depth, convex(weight=weight)
        self.name = f"fusion of {index.name}"
        mark = f"{self._fusion} depth={depth} {index.fingerprint}"
        self.fingerprint = hashlib.sha256(mark.encode()).hexdigest()[:12]

    def scores(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Each query is searched for once in a call."""
        import numpy as np

        for query, ids in zip(queries, documents, strict=True):
            known_to(self._index, ids, teacher=self.name, query=query)
        distinct = list(dict.fromkeys(queries))
        place = {query: number for number, query in enumerate(distinct)}
        fused: list[dict[str, float]] = []
        for start in range(0, len(distinct), AT_ONCE):
            part = distinct[start : start + AT_ONCE]
            dense = self._index.dense(self._index.encode(part), self._depth)
            words = self._index.bm25(part, self._depth)
            fused += [self._fusion.fuse(sides) for sides in zip(dense, words, strict=True)]
        return [
            np.array([fused[place[query]].get(id, 0.0) for id in ids])
            for query, ids in zip(queries, documents, strict=True)
        ]


def ask(
    teacher: Teacher, queries: Sequence[str], documents: Sequence[Sequence[str]]
) -> list[list[float]]:
    """What the teacher says of the documents of each query, checked.

    Raises `RetrievalError`, naming teacher, query and document, for scores that are too few or
    too many, not finite, or not between 0 and 1.
    """
    given = teacher.scores(queries, documents)
    if len(given) != len(queries):
        raise RetrievalError(
            f"teacher {teacher.name} gave scores for {len(given)} of {len(queries)} queries, from "
            f"{short(queries[0])!r} on; mend the teacher"
        )
    checked = []
    for query, ids, row in zip(queries, documents, given, strict=True):
        scores = [float(score) for score in row]
        if len(scores) != len(ids):
            raise RetrievalError(
                f"teacher {teacher.name} gave {len(scores)} scores for {len(ids)} documents of "
                f"query {short(query)!r}, from {short(ids[0]) if ids else 'none'} on; mend it"
            )
        for id, score in zip(ids, scores, strict=True):
            if not 0 <= score <= 1:  # nor NaN
                raise RetrievalError(
                    f"teacher {teacher.name} gave {score} for document {short(id)!r} and query "
                    f"{short(query)!r}; its scores must be between 0 and 1"
                )
        checked.append(scores)
    return checked


def teach(mined: Iterable[MinedPair], teacher: Teacher) -> Iterator[MinedPair]:
    """The mined pairs with the teacher's score of every positive and negative, in place of others.

    So many pairs at a time that memory does not grow with them.
    """
    rest = iter(mined)
    while block := list(itertools.islice(rest, AT_ONCE)):
        ids = [
            [one.pair.document_id, *(negative.document_id for negative in one.negatives)]
            for one in block
        ]
        scores = ask(teacher, [one.pair.query for one in block], ids)
        for one, (positive, *others) in zip(block, scores, strict=True):
            yield replace(
                one,
                scores=replace(one.scores, teacher=positive),
                negatives=tuple(
                    replace(negative, scores=replace(negative.scores, teacher=score))
                    for negative, score in zip(one.negatives, others, strict=True)
                ),
            )


def known_to(index: IndexReader, ids: Iterable[str], *, teacher: str, query: str) -> None:
    """Raise `RetrievalError` for an id that the index of a teacher lacks."""
    for id in ids:
        try:
            index.document(id)
        except RetrievalError as error:
            raise RetrievalError(
                f"teacher {teacher} does not know document {short(id)!r} of query "
                f"{short(query)!r}: {error}; give it the index that was mined"
            ) from None
