"""Setting dev queries aside so that training has seen neither them nor what answers them."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from llmaug.errors import PlanError, RetrievalError
from llmaug.formats.fields import short
from llmaug.retrieval.qrels import Qrels
from llmaug.training.pairs import Pair


class Split(NamedTuple):
    """The pairs to train on and those set aside, each in the order given."""

    train: list[Pair]
    dev: list[Pair]


def split_dev(
    pairs: Sequence[Pair],
    *,
    share: float | None = None,
    count: int | None = None,
    seed: int = 0,
    by_document: bool = True,
) -> Split:
    """Set `share` of the queries, or `count` of them, aside; all pairs of a query stay together.

    So do queries of the same words, and with `by_document` all that an answering document links,
    at any number of steps: no document of a dev query is then a positive in training. Groups are
    taken in an order that the seed and the ids decide, and the order of the pairs does not. One
    that would go beyond the number asked for is passed over, so there may be some dev queries
    fewer, and groups that hold much of the queries are trained on.

    Raises `RetrievalError` where no dev query or no training query would be left.
    """
    groups: dict[Hashable, set[str]] = {}
    linked = _Links()
    for pair in pairs:
        linked.join(("query", pair.query_id), ("words", " ".join(pair.query.casefold().split())))
        if by_document:
            linked.join(("query", pair.query_id), ("document", pair.document_id))
    for pair in pairs:
        groups.setdefault(linked.of(("query", pair.query_id)), set()).add(pair.query_id)
    total = sum(map(len, groups.values()))
    most = _asked(share, count, total)
    dev: set[str] = set()
    for group in sorted(groups.values(), key=lambda group: _draw(min(group), seed)):
        if len(dev) + len(group) <= most:
            dev |= group
    if not dev or len(dev) == total:
        largest = max(map(len, groups.values()), default=0)
        raise RetrievalError(
            f"{total:,} queries in {len(groups):,} groups that share documents or words, the "
            f"largest of {largest:,}, do not split into dev (at most {most:,}) and training; ask "
            "for another number" + (" or split with by_document=False" if by_document else "")
        )
    return Split(
        [pair for pair in pairs if pair.query_id not in dev],
        [pair for pair in pairs if pair.query_id in dev],
    )


def queries_of(pairs: Iterable[Pair]) -> dict[str, str]:
    """The queries of pairs as {id: text}; raises `RetrievalError` for an id of two texts."""
    queries: dict[str, str] = {}
    for pair in pairs:
        if (text := queries.setdefault(pair.query_id, pair.query)) != pair.query:
            raise RetrievalError(
                f"the query id {short(pair.query_id)!r} is that of {short(text)!r} and of "
                f"{short(pair.query)!r}; give each query an id of its own"
            )
    return queries


def qrels_of(pairs: Iterable[Pair]) -> Qrels:
    """The judgements that pairs amount to: grade 1 for every document of a query."""
    qrels: Qrels = {}
    for pair in pairs:
        qrels.setdefault(pair.query_id, {})[pair.document_id] = 1
    return qrels


def _asked(share: float | None, count: int | None, total: int) -> int:
    """How many dev queries are asked for."""
    if (share is None) == (count is None):
        raise PlanError("a dev split takes a share or a count of the queries, one of the two")
    if share is not None:
        if not 0 < share < 1:
            raise PlanError(f"the share of dev queries lies between 0 and 1, not {share}")
        return round(share * total)
    assert count is not None
    if count < 1:
        raise PlanError(f"a dev split needs at least 1 query, not {count}")
    return count


def _draw(id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {id}".encode("utf-8", "surrogatepass")).digest()


class _Links:
    """Which things hang together (disjoint sets, with paths halved)."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def of(self, thing: Hashable) -> Hashable:
        """What stands for all that hangs together with this."""
        self._above.setdefault(thing, thing)
        while self._above[thing] != thing:
            self._above[thing] = self._above[self._above[thing]]
            thing = self._above[thing]
        return thing

    def join(self, one: Hashable, other: Hashable) -> None:
        self._above[self.of(one)] = self.of(other)
