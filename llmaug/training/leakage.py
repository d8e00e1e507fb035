"""Leakage: training queries that are, all but in name, queries of the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmaug.errors import RetrievalError
from llmaug.formats.fields import short
from llmaug.request import Embedder
from llmaug.retrieval.documents import contents
from llmaug.retrieval.qrels import Qrels
from llmaug.steps.filters import normalised
from llmaug.text import Text
from llmaug.training.near_duplicates import embedded
from llmaug.training.pairs import Pair
from llmaug.training.screening import Screened, screened
from llmaug.training.shared_words import SharedWords

EXAMPLES = 3  # shown in a message
COMPARED = 2**22  # cosines held at once


class Leak(NamedTuple):
    """A training query, the test query that it is too close to, and in which way it is."""

    query_id: str
    query: str
    test_id: str
    test_query: str
    way: str  # "same words", "a run of 8 words", "nearly the same words" or "embedding"


@dataclass(frozen=True)
class Leakage:
    """What of a test set is in training pairs.

    `leaks` has one entry a training query. `on_test_documents` counts the pairs whose document
    answers a test query: no fault in itself, since a test's documents are in the corpus.
    """

    leaks: tuple[Leak, ...]
    queries: int
    test_queries: int
    pairs: int
    on_test_documents: int

    @property
    def counts(self) -> dict[str, int]:
        """How many training queries leak in each way; a query counts in the first that is true."""
        return dict(Counter(leak.way for leak in self.leaks))

    def __str__(self) -> str:
        ways = ", ".join(f"{way} {count:,}" for way, count in self.counts.items())
        return (
            f"{len(self.leaks):,} of {self.queries:,} training queries are too close to one of "
            f"{self.test_queries:,} test queries{f' ({ways})' if ways else ''}; "
            f"{self.on_test_documents:,} of {self.pairs:,} pairs have a document that answers one"
        )


def leaks(
    pairs: Sequence[Pair],
    test_queries: Mapping[str, str],
    *,
    qrels: Qrels | None = None,
    embedder: Embedder | None = None,
    min_cosine: float = 0.95,
    run: int = 8,
) -> Leakage:
    """The training queries that are too close to a test query, by their words and their meaning.

    In this order: the same words; a run of `run` words in common; nearly the same words (at least
    0.8 of the distinct words of both are in both, in any order, so that short queries count too);
    with an `embedder` a cosine of at least `min_cosine`. Case and punctuation make no difference.
    `qrels` are the test's judgements, by which `on_test_documents` is counted.
    """
    if run < 1 or not 0 < min_cosine <= 1:
        raise RetrievalError(
            f"leakage by a run of {run} words and a cosine of {min_cosine} cannot be found; give "
            "a run of 1 or more, and a cosine above 0, at most 1"
        )
    asked = list(dict.fromkeys((pair.query_id, pair.query) for pair in pairs))
    shared = SharedWords(test_queries, run=run)
    found = {query: match for query in asked if (match := shared.match(query[1]))}
    if embedder is not None:
        rest = [query for query in asked if query not in found]
        nearest = _nearest([text for _, text in rest], test_queries, embedder, min_cosine)
        found |= {rest[place]: (test_id, "embedding") for place, test_id in nearest}
    answers = answering(qrels or {})
    return Leakage(
        leaks=tuple(
            Leak(*query, test_id, test_queries[test_id], way)
            for query in asked
            if query in found
            for test_id, way in [found[query]]
        ),
        queries=len(asked),
        test_queries=len(test_queries),
        pairs=len(pairs),
        on_test_documents=sum(pair.document_id in answers for pair in pairs),
    )


def without_leaks(pairs: Sequence[Pair], leakage: Leakage) -> Screened:
    """Drop the pairs of the queries that leak, with the way as the reason."""
    ways = {(leak.query_id, leak.query): f"leak: {leak.way}" for leak in leakage.leaks}
    return screened(pairs, (ways.get((pair.query_id, pair.query), "") for pair in pairs))


def refuse_leakage(leakage: Leakage, *, otherwise: str = "leave these queries out") -> None:
    """Raise `RetrievalError` with the counts and the first examples where a query leaks.

    `otherwise` says what can be done short of training on them.
    """
    if not leakage.leaks:
        return
    such = "; ".join(
        f"“{short(leak.query)}” is like “{short(leak.test_query)}” ({leak.way})"
        for leak in leakage.leaks[:EXAMPLES]
    )
    raise RetrievalError(
        f"{leakage}: {such}{'; …' * (len(leakage.leaks) > EXAMPLES)}; {otherwise}, "
        "or train on them all the same with --allow-leakage"
    )


def answering(qrels: Qrels) -> Collection[str]:
    """The documents that answer a query of the test."""
    return {id for judged in qrels.values() for id, grade in judged.items() if grade > 0}


def without_test_documents(documents: Iterable[Text], qrels: Qrels) -> Iterator[Text]:
    """The documents that answer no query of the test, nor say the same as one that does.

    To write synthetic queries from, where not even the test's documents shall be known, as in
    CADET (Tamber et al. 2025, arXiv 2505.19274). `documents` is iterated over twice.
    """
    answers = answering(qrels)
    said = {normalised(contents(one)) for one in documents if one.id in answers}
    for document in documents:
        if document.id not in answers and normalised(contents(document)) not in said:
            yield document


def _nearest(
    texts: Sequence[str], tests: Mapping[str, str], embedder: Embedder, least: float
) -> Iterator[tuple[int, str]]:
    """The places of the texts that are so close to a test query, and its id."""
    if not texts or not tests:
        return
    ids = list(tests)
    known = embedded(list(tests.values()), embedder)
    size = max(1, COMPARED // len(ids))
    for start in range(0, len(texts), size):
        cosines = embedded(texts[start : start + size], embedder) @ known.T
        for place, row in enumerate(cosines):
            best = int(row.argmax())
            if row[best] >= least:
                yield start + place, ids[best]
