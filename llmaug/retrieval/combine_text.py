"""Combinations that search for one text made of the query and its expansions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmaug.retrieval.combination import Combination
from llmaug.retrieval.combine_searches import Asked, Ranking


class OneText(Combination):
    """The query stands first, so that an encoder which reads no further cuts the expansions."""

    def text(self, query: str, expansions: Sequence[str]) -> str:
        """What is searched for."""
        return " ".join([query] * self.repeats(query, expansions) + list(expansions))

    def repeats(self, query: str, expansions: Sequence[str]) -> int:
        """How often the query is said."""
        raise TypeError(f"{type(self).__name__} does not say how it does this")

    def dense_text(self, query: str, expansions: Sequence[str]) -> str | None:
        return self.text(query, expansions)

    def one_side(self, asked: Asked, side: str, *, depth: int) -> list[Ranking]:
        return asked.found_by(side, [self.text(*pair) for pair in asked.expanded], depth)


@dataclass(frozen=True, repr=False)
class Concat(OneText):
    """The query `repeat` times, then the expansions.

    Wang et al. 2023 (Query2doc) repeat it 5 times before BM25, and not before an encoder.
    """

    repeat: int

    def repeats(self, query: str, expansions: Sequence[str]) -> int:
        return self.repeat

    def __str__(self) -> str:
        return f"concat(repeat={self.repeat})"


@dataclass(frozen=True, repr=False)
class MugiConcat(OneText):
    """The query as often as keeps its share against long expansions, then the expansions.

    Zhang et al. 2024 (MuGI): their characters divided by those of the query, and by `beta`, both
    rounded down. Departure: at least once, where MuGI's rule would lose the query.
    """

    beta: float

    def repeats(self, query: str, expansions: Sequence[str]) -> int:
        return max(1, int(len(" ".join(expansions)) // max(1, len(query)) // self.beta))

    def __str__(self) -> str:
        return f"mugi_concat(beta={self.beta})"


@dataclass(frozen=True, repr=False)
class Alone(OneText):
    """The expansions without the query: to measure what they are worth by themselves."""

    def repeats(self, query: str, expansions: Sequence[str]) -> int:
        return 0

    def __str__(self) -> str:
        return "alone()"
