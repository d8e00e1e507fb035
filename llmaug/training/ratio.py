"""How many synthetic pairs to train on: the ratio to human ones, and when there are enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmaug.errors import PlanError, RetrievalError, did_you_mean
from llmaug.formats.fields import short

if TYPE_CHECKING:
    import numpy as np

Values = Mapping[str, float]  # query id -> value of one measure
Runs = Values | Sequence[Values]  # of one training, or of one for each seed

RULES = ("one_se", "one_se_of_mean", "best")


@dataclass(frozen=True, slots=True)
class Row:
    """One ratio: its dev mean, the mean's own standard error, and the difference to the best.

    `error` is the standard error of that difference, query by query.
    """

    ratio: float
    mean: float
    error_of_mean: float
    difference: float
    error: float
    seeds: int


@dataclass(frozen=True, slots=True)
class RatioChoice:
    """The ratio chosen and the one of the best mean; `str()` is a table for people."""

    ratio: float
    best: float
    rule: str
    queries: int
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        lines = ["ratio    mean  difference to the best"]
        for row in self.rows:
            mark = " <- chosen" if row.ratio == self.ratio else ""
            lines.append(
                f"{row.ratio:>5g}  {row.mean:.4f}  {row.difference:+.4f} ± {row.error:.4f}{mark}"
            )
        means = {
            "one_se": "smallest ratio within one standard error of the difference to the best",
            "one_se_of_mean": "smallest ratio within one standard error of the best mean",
            "best": "best mean",
        }
        return "\n".join([*lines, f"{means[self.rule]}; {self.queries} dev queries"])


class Saturation(NamedTuple):
    """Whether the last doubling of the synthetic queries moved the dev values.

    From `fewer` to `more` queries the mean rose by `gain`, give or take `error`; `reached` says
    that this is no more than one standard error.
    """

    reached: bool
    fewer: int
    more: int
    gain: float
    error: float


def choose_ratio(results: Mapping[float, Runs], *, rule: str = "one_se") -> RatioChoice:
    """The smallest ratio of synthetic to human pairs that is as good as the best, by dev values.

    `results` holds {ratio: {query id: value}}, or for each ratio a list of these, one for each
    seed; seeds are averaged by query.

    The one-standard-error rule (Breiman et al. 1984, §3.4.3; Hastie et al., Elements of
    Statistical Learning, §7.10) takes the simplest choice whose mean is within one standard error
    of the best one. There it is the error of the best mean: "one_se_of_mean". All ratios have the
    same dev queries, though, whose differences in difficulty make that error so large that ratio
    0 nearly always wins. "one_se" therefore takes the error of the paired difference to the best.
    With several seeds the variance between their means is added. "best" takes the best mean.

    Raises `RetrievalError` where the queries differ, `PlanError` for a rule that is none.
    """
    if rule not in RULES:
        raise PlanError(f"no rule {rule!r} to choose a ratio; {did_you_mean(rule, RULES)}")
    if not results:
        raise RetrievalError("no ratio was tried; give the dev values of at least one")
    tables = _tables(results)
    ratios = sorted(tables)
    best = max(ratios, key=lambda ratio: tables[ratio].mean())  # the smallest, of equal ones
    rows = tuple(_row(ratio, tables[ratio], tables[best]) for ratio in ratios)
    own = next(row.error_of_mean for row in rows if row.ratio == best)
    chosen = best
    for row in rows:
        slack = {"one_se": row.error, "one_se_of_mean": own, "best": 0.0}[rule]
        if row.difference >= -slack:
            chosen = row.ratio
            break
    return RatioChoice(chosen, best, rule, tables[best].shape[1], rows)


def saturated(results: Mapping[int, Runs]) -> Saturation | None:
    """Whether more synthetic queries would still help: {number of queries: dev values}.

    Compares the largest number with the largest that is at most half of it. None where there is
    no such number to compare with. Few dev queries have a large error, which says "reached"
    earlier than many would.
    """
    tables = _tables(results)
    more = max(tables, default=0)
    half = [count for count in tables if 0 < 2 * count <= more]
    if not half:
        return None
    row = _row(more, tables[more], tables[max(half)])
    return Saturation(
        row.difference <= row.error, int(max(half)), int(more), row.difference, row.error
    )


def _tables(results: Mapping[float, Runs] | Mapping[int, Runs]) -> dict[float, np.ndarray]:
    """Values by ratio, (seeds, queries) in the order of the query ids."""
    import numpy as np

    runs = {at: [of] if isinstance(of, Mapping) else list(of) for at, of in results.items()}
    first: set[str] | None = None
    for at, seeds in runs.items():
        if not seeds or not seeds[0]:
            raise RetrievalError(f"there are no dev values for {at:g}; measure it or leave it out")
        for values in seeds:
            first = set(values) if first is None else first
            if values.keys() != first:
                other = short(min(values.keys() ^ first))
                raise RetrievalError(
                    f"the dev values for {at:g} are of other queries than those before "
                    f"(dev query {other!r}); measure all on the same"
                )
            if not all(map(math.isfinite, values.values())):
                raise RetrievalError(f"a dev value for {at:g} is NaN or infinite; train it again")
    queries = sorted(first or ())
    return {at: np.array([[of[q] for q in queries] for of in seeds]) for at, seeds in runs.items()}


def _row(ratio: float, table: np.ndarray, best: np.ndarray) -> Row:
    same = table is best
    difference = table.mean(axis=0) - best.mean(axis=0)
    between = 0.0 if same else _error(table.mean(axis=1)) ** 2 + _error(best.mean(axis=1)) ** 2
    return Row(
        ratio=ratio,
        mean=float(table.mean()),
        error_of_mean=math.hypot(_error(table.mean(axis=0)), _error(table.mean(axis=1))),
        difference=float(difference.mean()),
        error=math.sqrt(_error(difference) ** 2 + between),
        seeds=len(table),
    )


def _error(values: np.ndarray) -> float:
    """The standard error of the mean; 0 for one value alone, whose spread is not known."""
    return 0.0 if len(values) < 2 else float(values.std(ddof=1)) / math.sqrt(len(values))
