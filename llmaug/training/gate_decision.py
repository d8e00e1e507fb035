"""What the gate decides from the dev values of a base and of candidates to replace it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from llmaug import significance
from llmaug.errors import RetrievalError
from llmaug.formats.fields import short
from llmaug.retrieval.compare import SAME
from llmaug.training.settings import GateSettings

if TYPE_CHECKING:
    import numpy as np

Values = Mapping[str, float]  # query id -> value of one measure


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate against the base on the dev queries.

    `low` and `high` are the 95 % interval of `difference`; `p` is one-sided, `corrected` the same
    for all candidates together. `detectable` is the difference that this many queries would show
    four times in five if all candidates had to be corrected for by Bonferroni.
    """

    weight: float
    mean: float
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    better: int
    worse: int
    equal: int
    detectable: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Which weight the model goes out with: 0 is the base, 1 the tuned model.

    `reason` says why, in a sentence. The mean of a chosen candidate is the highest of several, so
    on other queries less is to be expected. Without a gate `settings` and `base` are None. The same
    dev queries had chosen the tuned model among so many `trainings`, for which `level` corrects.
    """

    weight: float
    reason: str
    base: float | None = None  # its mean on the dev queries
    queries: int = 0
    candidates: tuple[Candidate, ...] = ()
    settings: GateSettings | None = None
    trainings: int = 1

    @property
    def level(self) -> float | None:
        """The corrected p that a candidate must not exceed: alpha shared by the trainings."""
        return None if self.settings is None else self.settings.alpha / self.trainings

    @classmethod
    def without_gate(cls) -> Decision:
        return cls(1.0, "no gate was used: the tuned model is returned, better or not")

    def record(self) -> dict[str, Any]:
        """Everything as JSON holds it; a number that is not finite is None."""
        made = asdict(self)
        made["gated"] = self.settings is not None
        for row in made["candidates"]:
            row.update({k: None for k, v in row.items() if not math.isfinite(v)})
        return made

    @classmethod
    def unmeasured(cls, queries: int, *, settings: GateSettings) -> Decision:
        """The base, where there are too few dev queries for measuring to decide anything."""
        return cls(0.0, _too_few(queries, settings), queries=queries, settings=settings)

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Decision:
        """The decision that `record` wrote; other keys are not looked at."""
        named = {one.name: record[one.name] for one in fields(cls) if one.name in record}
        rows: list[dict[str, Any]] = [
            {name: math.nan if value is None else value for name, value in row.items()}
            for row in named["candidates"]
        ]
        named["candidates"] = tuple(Candidate(**row) for row in rows)
        if named["settings"] is not None:
            weights = tuple(named["settings"]["weights"])
            named["settings"] = GateSettings(**{**named["settings"], "weights": weights})
        return cls(**named)

    def __str__(self) -> str:
        if self.base is None:
            return self.reason
        lines = ["weight    mean  difference   95 % interval           p  corrected  better/worse"]
        lines.append(f"  0 (base)  {self.base:.4f}")
        for row in self.candidates:
            lines.append(
                f"{row.weight:>6g}  {row.mean:.4f}     {row.difference:+.4f}   "
                f"[{row.low:+.4f}, {row.high:+.4f}]  {row.p:.4f}     {row.corrected:.4f}  "
                f"{row.better}/{row.worse} of {self.queries}"
            )
        return "\n".join([*lines, self.reason])


def decide(
    base: Values,
    candidates: Mapping[float, Values],
    *,
    settings: GateSettings,
    trainings: int = 1,
) -> Decision:
    """The weight to go out with, from {weight: {query id: value}} of the same dev queries.

    Among candidates that are better than the base at the level `alpha` (paired randomisation,
    one-sided, corrected for all of them) the one with the best mean, of equal ones that with the
    lowest weight; else the base, and always the base for fewer than `fewest` queries. So a model
    that is no better than its base goes out with a chance of at most `alpha`, if its differences
    to the base are then as likely positive as negative: what the test takes for granted. "max_t"
    corrects with the correlation of the candidates, which are much alike; "holm" without. Where
    these queries chose the tuned model among several `trainings`, the level is `alpha` by their
    number (Bonferroni): the winner's luck is in its values already.

    Raises `RetrievalError` where the queries differ or a value is not finite.
    """
    if not base or not candidates:
        raise RetrievalError("the gate needs dev values of the base and of at least one candidate")
    weights = sorted(candidates)
    table = _differences(base, {weight: candidates[weight] for weight in weights})
    rows = _rows(table, weights, base=base, settings=settings, trainings=trainings)
    mean = math.fsum(base.values()) / len(base)
    weight, reason = _choice(rows, queries=len(base), settings=settings, trainings=trainings)
    return Decision(weight, reason, mean, len(base), rows, settings, trainings)


def _choice(
    rows: tuple[Candidate, ...], *, queries: int, settings: GateSettings, trainings: int
) -> tuple[float, str]:
    """The weight, and the sentence that says why."""
    if queries < settings.fewest:
        return 0.0, _too_few(queries, settings)
    level = settings.alpha / trainings
    winners = [row for row in rows if row.corrected <= level and row.difference > 0]
    best = max(winners or rows, key=lambda row: row.mean)  # the first, of equal ones
    against = (
        f"{settings.measure} {best.difference:+.4f} on {_counted(queries)}, corrected p "
        f"{best.corrected:.4f}"
    )
    if trainings > 1:
        against += (
            f" at level {level:.3g} ({settings.alpha:g} for {trainings} trainings that the same "
            "queries chose among)"
        )
    if winners:
        return best.weight, f"weight {best.weight:g} is better than the base: {against}"
    return 0.0, (
        f"the base is kept: nothing is better by more than noise; the best, weight "
        f"{best.weight:g}, has {against}, where a difference below {best.detectable:.4f} would "
        "often be missed"
    )


def _too_few(queries: int, settings: GateSettings) -> str:
    return (
        f"the base is kept: {_counted(queries)} cannot decide, and at least {settings.fewest} are "
        "asked for"
    )


def _counted(queries: int) -> str:
    return f"{queries} dev quer{'y' if queries == 1 else 'ies'}"


def _differences(base: Values, candidates: Mapping[float, Values]) -> np.ndarray:
    """Candidate less base, (queries, candidates) in the order of the query ids."""
    import numpy as np

    for weight, values in candidates.items():
        if values.keys() != base.keys():
            other = min(values.keys() ^ base.keys())
            has = "the base" if other in base else "the candidate"
            raise RetrievalError(
                f"base and candidate {weight:g} are measured on different dev queries: only {has} "
                f"has {short(other)!r}; measure both on the same"
            )
    queries = sorted(base)
    ours = np.array([[of[query] for of in candidates.values()] for query in queries])
    table = ours - np.array([base[query] for query in queries])[:, None]
    if not np.isfinite(table).all():
        raise RetrievalError("a dev value is NaN or infinite; the weights of a model are damaged")
    return np.where(np.abs(table) < SAME, 0.0, table)


def _rows(
    table: np.ndarray,
    weights: list[float],
    *,
    base: Values,
    settings: GateSettings,
    trainings: int,
) -> tuple[Candidate, ...]:
    seed, mean = settings.seed, math.fsum(base.values()) / len(base)
    raw = [
        significance.paired_randomisation(column, seed=seed, alternative="greater")
        for column in table.T
    ]
    by_max_t = settings.correction == "max_t"
    corrected = significance.max_t(table, seed=seed) if by_max_t else significance.holm(raw)
    rows = []
    for place, weight in enumerate(weights):
        column = table[:, place]
        low, high = significance.bootstrap_interval(column, seed=seed)
        rows.append(
            Candidate(
                weight=weight,
                mean=mean + float(column.mean()),
                difference=float(column.mean()),
                low=low,
                high=high,
                p=raw[place],
                corrected=corrected[place],
                better=int((column > 0).sum()),
                worse=int((column < 0).sum()),
                equal=int((column == 0).sum()),
                # The function is two-sided: twice the level is that of one side.
                detectable=significance.detectable_difference(
                    column, level=2 * settings.alpha / trainings / len(weights)
                ),
            )
        )
    return tuple(rows)
