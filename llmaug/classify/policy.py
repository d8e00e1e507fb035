"""Which texts are rewritten, how often, and what the rewrites count: all that `fit` decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.aggregation import Weights, aggregated
from llmaug.classify.openness import GainModel, openness
from llmaug.classify.settled import SETTLED, Spread, flip_chance
from llmaug.classify.votes import Votes

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Policy:
    """A gate, a rule when to stop, and an aggregation, for a plan of `size` rewrites.

    A text is rewritten where its openness is at least `threshold`. With `adaptive` rewrites are
    asked for one at a time, and no more once the chance that those left change the decision is
    below `stop`. That chance is of the plain mean, so with another aggregation a few more decisions
    than it says would still have changed.
    """

    size: int
    spread: Spread
    gate: str = "settled"
    threshold: float = SETTLED
    stop: float = SETTLED
    adaptive: bool = True
    aggregation: str = "mean"
    weights: Weights | None = None
    model: GainModel | None = None

    def at(self, threshold: float) -> Policy:
        """The same with another threshold; that of the gate "settled" is also where it stops."""
        stop = threshold if self.gate == "settled" else self.stop
        return replace(self, threshold=threshold, stop=stop)

    def openness(self, chances: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """(n,): how open the decision on each text is."""
        return openness(
            self.gate, chances, texts, size=self.size, spread=self.spread, model=self.model
        )

    def answer(self, votes: Votes) -> np.ndarray:
        """(n, classes): the answer to each text."""
        return aggregated(votes, self.aggregation, self.weights)

    def open_after(self, votes: Votes, asked: np.ndarray) -> np.ndarray:
        """(n,): whether the next rewrite is wanted by texts that asked for so many already."""
        import numpy as np

        left = np.maximum(self.size - asked, 0)
        seen = votes.seen()
        chance = flip_chance(
            votes.original,
            votes.total(),
            seen.sum(axis=1),
            left,
            spread=self.spread,
            decision=self.answer(votes).argmax(axis=1),
        )
        return np.asarray((left > 0) & (chance >= self.stop))


class Played(NamedTuple):
    """What a policy made of n texts: (n, classes) answers and (n,) rewrites asked for."""

    answers: np.ndarray
    asked: np.ndarray


def play(
    policy: Policy,
    votes: Votes,
    opened: np.ndarray,
    more: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> Played:
    """Let a policy decide on texts, those `opened` by the gate.

    `more(rows, number)` adds the first so many rewrites of some rows to the votes, and gives the
    rows for which no more shall be asked; without it `votes` already has all of them, and the
    policy sees only those that it would have asked for.
    """
    import numpy as np

    asked = np.zeros(len(votes.original), dtype=int)
    wanted = opened.copy()
    while wanted.any():
        step = 1 if policy.adaptive else policy.size
        asked[wanted] += step
        if more is not None:
            wanted[more(np.flatnonzero(wanted), int(asked.max()))] = False
        if not policy.adaptive:
            break
        wanted = wanted & policy.open_after(votes.until(asked), asked)
    return Played(policy.answer(votes.until(asked)), asked)
