"""Where a gate opens: the threshold chosen on labelled texts, for a budget or without a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.policy import Policy, play
from llmaug.classify.settled import SETTLED, expected_calls
from llmaug.classify.votes import Votes
from llmaug.errors import PlanError

if TYPE_CHECKING:
    import numpy as np

STEPS = 60  # thresholds tried
FINEST = 1e-5  # chance of another decision that the smallest of them asks for


class Point(NamedTuple):
    """A policy with this threshold on the texts that it was fitted on.

    `texts` is the share of texts that it opens, `mistakes` the share of the classifier's mistakes
    among them that it opens, and `calls` the share of all possible rewrites that it asks for:
    counted where the texts were rewritten, else expected. `accuracy` is NaN where they were not.
    """

    threshold: float
    texts: float
    mistakes: float
    calls: float
    accuracy: float


class Part(NamedTuple):
    """Some of the texts, by row, and the policy that did not see their labels."""

    rows: np.ndarray
    policy: Policy


class Tried(NamedTuple):
    """Labelled texts that thresholds are tried on.

    `raw` is what the classifier says of the `texts`; `votes` are of those that are `read` in
    place of open ones, which are the same or normalised. `truth` are class numbers, and
    `rewritten` says whether the votes hold rewrites.
    """

    votes: Votes
    raw: np.ndarray
    texts: Sequence[str]
    read: Sequence[str]
    truth: np.ndarray
    rewritten: bool
    seed: int


def curve(parts: Sequence[Part], tried: Tried) -> list[Point]:
    """What each threshold costs and brings, from a closed gate to an open one."""
    import numpy as np

    votes, raw, truth, rewritten = tried.votes, tried.raw, tried.truth, tried.rewritten
    scores, again = np.zeros(len(truth)), np.zeros(len(truth))
    for rows, policy in parts:
        scores[rows] = policy.openness(raw[rows], [tried.texts[row] for row in rows])
        again[rows] = policy.openness(votes.original[rows], [tried.read[row] for row in rows])
    blank = np.array([not text.strip() for text in tried.texts], dtype=bool)
    scores[blank] = -math.inf
    mistaken = raw.argmax(axis=1) != truth
    size = parts[0].policy.size
    found = []
    for threshold in _thresholds(scores[~blank], parts[0].policy.gate):
        read = (scores >= threshold) & ~blank  # normalised, if that is wanted
        opened = read & (again >= threshold)
        original = np.where(read[:, None], votes.original, raw)
        seen = replace(votes, original=original)
        asked, right = np.zeros(len(truth)), np.full(len(truth), math.nan)
        for rows, policy in parts:
            there = policy.at(threshold)
            if rewritten:
                played = play(there, seen.of_rows(rows), opened[rows])
                asked[rows] = played.asked
                right[rows] = played.answers.argmax(axis=1) == truth[rows]
            else:
                asked[rows] = opened[rows] * _expected(there, votes.original[rows], tried.seed)
        found.append(
            Point(
                float(threshold),
                float(opened.mean()),
                float(opened[mistaken].mean()) if mistaken.any() else math.nan,
                float(asked.mean()) / size,
                float(right.mean()),
            )
        )
    return found


def choose(
    points: Sequence[Point], *, plain: float, budget: float | None, max_id_loss: float | None
) -> Point:
    """The point that asks for most rewrites among those within the limits.

    `plain` is the accuracy without rewrites. The closed gate is always within them.
    """
    within = [
        point
        for point in points
        if (budget is None or budget >= 1 or point.calls <= budget + 1e-9)
        and (max_id_loss is None or point.accuracy >= plain - max_id_loss - 1e-9)
    ]
    if budget is not None and budget <= 0:
        within = list(points[:1])
    return max(within, key=lambda point: (point.calls, point.texts, -point.threshold))


def _thresholds(scores: np.ndarray, gate: str) -> list[float]:
    """From none open to all."""
    import numpy as np

    if gate == "settled":
        finer = np.geomspace(0.5, FINEST, STEPS).tolist()
        return [math.inf, *sorted({*finer, SETTLED}, reverse=True), 0.0]
    levels = np.unique(np.quantile(scores, np.linspace(0, 1, STEPS + 1)))[::-1]
    between = {*((levels[:-1] + levels[1:]) / 2).tolist()}
    between |= {default_threshold(gate)} - {-math.inf}
    return [math.inf, *sorted(between, reverse=True), -math.inf]


def _expected(policy: Policy, original: np.ndarray, seed: int) -> np.ndarray:
    import numpy as np

    if not policy.adaptive:
        return np.full(len(original), float(policy.size))
    return expected_calls(
        original, size=policy.size, chance=policy.stop, spread=policy.spread, seed=seed
    )


def default_threshold(gate: str) -> float:
    """The threshold where neither a budget nor a loss was named: a learned gate wants a gain."""
    return {"settled": SETTLED, "learned": 0.0}.get(gate, -math.inf)


def check_share(name: str, value: float | None) -> None:
    """Raise `PlanError` for a limit that is no share from 0 to 1."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if value is not None and not (number and 0 <= value <= 1):
        raise PlanError(f"{name} must be a share from 0 to 1, not {value!r}")
