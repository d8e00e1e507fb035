"""Filters that need all training pairs at once: by score, by repetition, by document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llmaug.errors import RetrievalError
from llmaug.steps.filters import normalised
from llmaug.training.pairs import Pair

Asked = tuple[str, str]  # what makes two pairs pairs of one query: its id and its text


class Screened(NamedTuple):
    """The pairs that a filter kept and those that it dropped, each with why; both in order."""

    kept: list[Pair]
    dropped: list[tuple[Pair, str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many were dropped for each reason, the most frequent first."""
        return dict(Counter(reason for _, reason in self.dropped).most_common())

    def __str__(self) -> str:
        lost = ", ".join(f"{reason} {count:,}" for reason, count in self.counts.items())
        total = len(self.kept) + len(self.dropped)
        return f"{len(self.kept):,} of {total:,} pairs kept{f' (dropped: {lost})' if lost else ''}"


def screened(pairs: Sequence[Pair], reasons: Iterable[str]) -> Screened:
    """Part the pairs by a reason for each; an empty one keeps its pair."""
    kept, dropped = [], []
    for pair, reason in zip(pairs, reasons, strict=True):
        if reason:
            dropped.append((pair, reason))
        else:
            kept.append(pair)
    return Screened(kept, dropped)


def require_any(*screens: Screened) -> None:
    """Raise `RetrievalError` with the counts by reason where the last of the filters kept none."""
    if screens and not screens[-1].kept:
        counts: Counter[str] = Counter()
        for one in screens:
            counts.update(one.counts)
        lost = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
        raise RetrievalError(
            f"no training pair is left after the filters ({lost or 'there were none to begin with'}"
            "); loosen the filter that drops the most, or write more queries"
        )


def without_lowest(pairs: Sequence[Pair], *, share: float = 0.25) -> Screened:
    """Drop at most that share of the pairs: those with the lowest scores.

    Pairs whose score is equal are kept or dropped together. Raises `RetrievalError` where a pair
    has no score. Tamber et al. 2025, CADET (arXiv 2505.19274), drop a quarter by the score of a
    cross-encoder.
    """
    if not 0 <= share < 1:
        raise RetrievalError(f"the share of pairs to drop is {share}; give a number from 0 below 1")
    scores = []
    for pair in pairs:
        if pair.score is None:
            lacking = sum(other.score is None for other in pairs)
            raise RetrievalError(
                f"{lacking:,} of {len(pairs):,} pairs have no score, the first with the query "
                f"{pair.query_id!r}; score them (rerank_first does) or leave this filter out"
            )
        scores.append(pair.score)
    least = sorted(scores)[int(share * len(scores))] if scores else 0.0
    reason = f"score in the lowest {share:.0%}"
    return screened(pairs, (reason if score < least else "" for score in scores))


def without_repeats(pairs: Sequence[Pair]) -> Screened:
    """Keep one of the queries that say the same, letter for letter, and no pair twice.

    Case, white space and punctuation at the ends make no difference. The query with the best
    score is kept, then the first, whichever documents the others were written for: a question that
    was written for two documents names neither. Pairs of one query id are one query with several
    answers, and are kept.
    """
    best: dict[str, Asked] = {}
    for asked in by_merit(pairs):
        best.setdefault(normalised(asked[1]), asked)
    seen: set[tuple[Asked, str]] = set()
    reasons = []
    for pair in pairs:
        asked = (pair.query_id, pair.query)
        if best[normalised(pair.query)] != asked:
            reasons.append("same query as another")
        else:
            reasons.append("same pair twice" if (asked, pair.document_id) in seen else "")
            seen.add((asked, pair.document_id))
    return screened(pairs, reasons)


def at_most(pairs: Sequence[Pair], count: int) -> Screened:
    """Keep at most so many pairs of a document: those with the best scores, then the first."""
    if count < 1:
        raise RetrievalError(f"at most {count} pairs of a document leave none; give 1 or more")
    taken: Counter[str] = Counter()
    kept = set()
    for place in sorted(range(len(pairs)), key=lambda i: merit(pairs[i])):
        if taken[pairs[place].document_id] < count:
            taken[pairs[place].document_id] += 1
            kept.add(place)
    reason = f"more than {count} of a document"
    return screened(pairs, ("" if place in kept else reason for place in range(len(pairs))))


def by_merit(pairs: Iterable[Pair]) -> list[Asked]:
    """The distinct queries, those with the best score first, then as they come."""
    return list(dict.fromkeys((p.query_id, p.query) for p in sorted(pairs, key=merit)))


def merit(pair: Pair) -> tuple[bool, float]:
    """What to sort pairs by so that the best come first; those without a score are the last."""
    return pair.score is None, -(pair.score or 0.0)
