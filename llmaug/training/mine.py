"""Mining hard negatives: documents that rank high for a query and do not answer it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from typing import NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.building import silent
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.index import Index
from llmaug.training.candidates import TEACHER, Candidates, Prospect
from llmaug.training.indexed import IndexedDocuments
from llmaug.training.mined import MinedPair, Negative
from llmaug.training.pairs import Pair
from llmaug.training.settings import MiningSettings
from llmaug.training.teacher import Teacher, ask

BLOCK = 64  # pairs whose queries are encoded and searched together
TOO_FEW = "too few negatives"


class MiningAccount(NamedTuple):
    """What mining did: how many pairs and candidates, what was dropped and why.

    `random` counts negatives drawn at random for want of others, `short` the pairs that had any,
    `too_few` pairs left out because too few documents can be their negatives. `pairs` are the rest.
    Under "teacher" are only candidates that it was asked about: it is not asked about more than
    are needed.
    """

    pairs: int
    candidates: int
    dropped: dict[str, int]  # reason -> documents
    random: int
    short: int
    too_few: int = 0

    def __str__(self) -> str:
        dropped = ", ".join(f"{count:,} {why}" for why, count in self.dropped.items()) or "none"
        left_out = f"; {self.too_few:,} pairs left out: {TOO_FEW}" if self.too_few else ""
        return (
            f"{self.pairs:,} pairs, {self.candidates:,} candidates, dropped: {dropped}; "
            f"{self.random:,} negatives at random, for {self.short:,} pairs{left_out}"
        )


class Mining(Iterator[MinedPair]):
    """The pairs with their negatives, in order; `account` counts as they come."""

    def __init__(self, mined: Iterator[MinedPair], counts: Counter[str]) -> None:
        self._mined, self._counts = mined, counts

    def __next__(self) -> MinedPair:
        return next(self._mined)

    @property
    def account(self) -> MiningAccount:
        return account_of(self._counts)


def mine(
    pairs: Iterable[Pair],
    index: Index,
    *,
    known: Mapping[str, Collection[str]],
    settings: MiningSettings | None = None,
    teacher: Teacher | None = None,
    progress: Progress = silent,
) -> Mining:
    """Find the negatives of each pair, by document id; `known` is {query id: what answers it}.

    Candidates stand at the places `first` to `last` of the dense and the BM25 ranking, which are
    taken from in turn; documents at better places are not used at all. Dropped are known answers,
    documents with the same text as one of them or as another candidate, and likely answers: those
    within a margin of the positive's cosine (the relative one is TopK-PercPos of NV-Retriever,
    arXiv 2407.15831, with the size of the positive's cosine, so that it holds for negative ones
    too), and those whose teacher score is above a share of the positive's (CADET, arXiv
    2502.19712). Random documents stand in for those that lack; no margin applies to them. A pair
    for which even these are too few is left out and counted.

    The outcome for a pair depends on nothing but the pair, the index, the settings and the
    teacher (and on how the embedder rounds in other company). Memory does not grow with the pairs.
    Raises `RetrievalError` for a pair whose document the index lacks, at the end for a corpus too
    small to give any pair its `settings.negatives`, and for a teacher that fails.
    """
    counts: Counter[str] = Counter()
    miner = Miner(
        index, known=known, settings=settings or MiningSettings(), teacher=teacher, counts=counts
    )
    return Mining(itertools.chain.from_iterable(miner.blocks(pairs, progress=progress)), counts)


class Miner:
    """Mines block after block of pairs, and counts what it does in `counts`."""

    def __init__(
        self,
        index: Index,
        *,
        known: Mapping[str, Collection[str]],
        settings: MiningSettings,
        teacher: Teacher | None,
        counts: Counter[str],
    ) -> None:
        if settings.teacher_ratio is not None and teacher is None:
            raise RetrievalError("teacher_ratio needs a teacher; give one, or set it to null")
        self.documents = IndexedDocuments(index)
        self.settings, self.teacher, self.counts = settings, teacher, counts
        self._candidates = Candidates(self.documents, known=known, settings=settings, counts=counts)

    def blocks(
        self, pairs: Iterable[Pair], *, progress: Progress = silent
    ) -> Iterator[list[MinedPair]]:
        """The mined pairs, as many at once as were searched together."""
        total = len(pairs) if isinstance(pairs, Sized) else None
        rest = iter(pairs)
        while block := list(itertools.islice(rest, BLOCK)):
            self.documents.refuse_others(block)
            prospects = self._candidates.of(block)
            while asked := [one for one in prospects if self._lacking(one) and one.queue]:
                self._choose(asked)
            mined = [self._finished(one) for one in prospects if not self._lacking(one)]
            self.counts[TOO_FEW] += len(prospects) - len(mined)
            progress("negatives", done_of(self.counts), total)
            yield mined
        if self.counts[TOO_FEW] and not self.counts["pairs"]:
            raise RetrievalError(
                f"of no pair can {self.settings.negatives} of the {len(self.documents):,} "
                "documents be negatives: the corpus is too small for these settings; lower "
                "negatives, last or the margins"
            )

    def _lacking(self, prospect: Prospect) -> int:
        return self.settings.negatives - len(prospect.chosen)

    def _choose(self, prospects: list[Prospect]) -> None:
        """Take as many as each lacks from its queue, less what the teacher holds for answers."""
        taken = []
        for one in prospects:
            lacking = self._lacking(one)
            taken.append(one.queue[:lacking])
            del one.queue[:lacking]
        if self.teacher is not None:
            taken = self._judged(prospects, taken)
        for one, negatives in zip(prospects, taken, strict=True):
            kept = [negative for negative in negatives if not self._answers(negative, one)]
            self.counts[TEACHER] += len(negatives) - len(kept)
            one.chosen += kept

    def _judged(
        self, prospects: list[Prospect], taken: list[list[Negative]]
    ) -> list[list[Negative]]:
        """The same with teacher scores; the positives get theirs the first time."""
        assert self.teacher is not None
        fresh = [one.scores.teacher is None for one in prospects]
        ids = [
            [*([one.pair.document_id] if new else []), *(negative.document_id for negative in some)]
            for one, new, some in zip(prospects, fresh, taken, strict=True)
        ]
        scores = ask(self.teacher, [one.pair.query for one in prospects], ids)
        for one, new, given in zip(prospects, fresh, scores, strict=True):
            if new:
                one.scores = replace(one.scores, teacher=given.pop(0))
        return [
            [
                replace(negative, scores=replace(negative.scores, teacher=score))
                for negative, score in zip(some, given, strict=True)
            ]
            for some, given in zip(taken, scores, strict=True)
        ]

    def _answers(self, negative: Negative, prospect: Prospect) -> bool:
        ratio, positive = self.settings.teacher_ratio, prospect.scores.teacher
        if ratio is None or negative.source == "random":
            return False
        assert positive is not None
        assert negative.scores.teacher is not None
        if not positive:  # a share of nothing would drop whatever has a score
            return False
        return negative.scores.teacher > ratio * positive

    def _finished(self, prospect: Prospect) -> MinedPair:
        random = sum(negative.source == "random" for negative in prospect.chosen)
        self.counts.update(pairs=1, random=random, short=bool(random))
        chosen = tuple(sorted(prospect.chosen, key=_hardest_first))
        return MinedPair(prospect.pair, prospect.scores, chosen)


def account_of(counts: Counter[str]) -> MiningAccount:
    """The account that these counts give."""
    own = ("pairs", "candidates", "random", "short", TOO_FEW)
    dropped = {why: count for why, count in sorted(counts.items()) if count and why not in own}
    return MiningAccount(
        pairs=counts["pairs"],
        candidates=counts["candidates"],
        dropped=dropped,
        random=counts["random"],
        short=counts["short"],
        too_few=counts[TOO_FEW],
    )


def done_of(counts: Counter[str]) -> int:
    """How many pairs were looked at."""
    return counts["pairs"] + counts[TOO_FEW]


def _hardest_first(negative: Negative) -> tuple[float, str]:
    scores = negative.scores
    hardness = scores.dense if scores.dense is not None else scores.bm25
    return (-(hardness or 0.0), negative.document_id)
