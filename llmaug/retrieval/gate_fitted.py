"""A fitted gate: what it would have brought, told by queries that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.retrieval.gate import Learned, learned
from llmaug.retrieval.gate_curve import Point, plot
from llmaug.retrieval.gate_file import write_learned
from llmaug.retrieval.gate_model import LinearModel
from llmaug.retrieval.gate_purpose import Purpose
from llmaug.significance import Interval, bootstrap_interval

if TYPE_CHECKING:
    import numpy as np

STEPS = 10  # parts into which the printed curve divides the queries


class Outcome(NamedTuple):
    """What expanding some queries and not others gave; shares are of all queries.

    `gain` is the mean measure less the plain one with its 95 % interval over queries, `kept` its
    share of the gain of expanding all (NaN where that gains nothing).
    """

    share: float
    mean: float
    gain: float
    interval: Interval
    kept: float
    worse: float
    better: float


def outcome(
    chosen: np.ndarray, plain: np.ndarray, expanded: np.ndarray, *, groups: np.ndarray
) -> Outcome:
    """What a decision for each query gave; rows of one group count as one query in the interval."""
    import numpy as np

    gains = np.where(chosen, expanded - plain, 0.0)
    whole = float((expanded - plain).mean())
    _, number, rows = np.unique(groups, return_inverse=True, return_counts=True)
    gain = float(gains.mean())
    return Outcome(
        float(chosen.mean()),
        float(plain.mean()) + gain,
        gain,
        bootstrap_interval(np.bincount(number, gains) / rows),
        gain / whole if whole > 0 else float("nan"),
        float((gains < 0).mean()),
        float((gains > 0).mean()),
    )


@dataclass(frozen=True)
class Fitted:
    """A gate learned from labelled queries.

    `model` and `threshold` are of all of them; everything else is cross-fitted, each query decided
    by a gate that did not see it. `unseen` counts those with a feature beyond the range of the
    others, which are not expanded; `decisions` {id: expand?} and `scores` {id: share of the
    queries seen that score lower}, the outcome of the `gate`
    beside those of `always` and of an `oracle` that knows the labels, and the cost `curves` of
    "learned", "oracle" and each single feature.
    """

    model: LinearModel
    threshold: float
    unseen: int
    decisions: dict[str, bool]
    scores: dict[str, float]
    curves: dict[str, list[Point]]
    gate: Outcome
    oracle: Outcome
    always: Outcome
    trained: dict[str, Any]
    purpose: Purpose | None = None

    def save(self, path: str | Path) -> Learned:
        """Write the gate as JSON and give it as it would be read."""
        gate = self.gate._asdict()
        numbers = {name: gate[name] for name in ("share", "mean", "gain", "worse", "better")}
        trained = self.trained | {"cross_fitted": numbers}
        write_learned(
            path,
            self.model,
            threshold=self.threshold,
            trained=trained,
            purpose=self.purpose,
        )
        return learned(path)

    def plot(self, path: str | Path) -> None:
        """Draw the cost curves and the gate on them into a .png, .svg or .pdf file."""
        plot(path, self.curves, chosen=self.gate)

    def __str__(self) -> str:
        return "\n".join([*self._outcomes(), "", *self._curve(), "", *self._weights()])

    def _outcomes(self) -> list[str]:
        plain = self.gate.mean - self.gate.gain
        lines = [
            f"{self.trained['queries']:,} rows, {self.trained['folds']} folds, cross-fitted",
            f"{'gate':<8}{'expanded':>10}{'mean':>9}{'gain':>9}  {'95 % interval':<20}"
            f"{'kept':>6}{'worse':>8}{'better':>8}",
            f"{'never':<8}{0:>10.0%}{plain:>9.4f}{0:>+9.4f}",
        ]
        for name, of in (("learned", self.gate), ("always", self.always), ("oracle", self.oracle)):
            between = f"[{of.interval.low:+.4f}, {of.interval.high:+.4f}]"
            lines.append(
                f"{name:<8}{of.share:>10.0%}{of.mean:>9.4f}{of.gain:>+9.4f}  {between:<20}"
                f"{_share(of.kept):>6}{of.worse:>8.1%}{of.better:>8.1%}"
            )
        if self.always.gain > 0:
            lines.append(f"a gate by chance that expands as many keeps {self.gate.share:.0%}")
        if self.unseen:
            lines.append(f"{self.unseen:,} unlike the others, so not expanded")
        return lines

    def _curve(self) -> list[str]:
        lines = [f"{'expanded':>10}{'mean':>9}{'gain':>9}{'kept':>7}{'worse':>8}"]
        for point in nearest(self.curves["learned"], STEPS):
            lines.append(
                f"{point.share:>10.0%}{point.mean:>9.4f}{point.gain:>+9.4f}"
                f"{_share(point.kept):>7}{point.worse:>8.1%}"
            )
        return lines

    def _weights(self) -> list[str]:
        ordered = sorted(self.model.features, key=lambda f: (-abs(f.weight), f.name))
        return [f"{feature.name:<12}{feature.weight:>+9.4f}" for feature in ordered]


def nearest(curve: Sequence[Point], steps: int) -> list[Point]:
    """The points of a curve that are nearest to equal steps of the share expanded."""
    found = [min(curve, key=lambda p: abs(p.share - step / steps)) for step in range(steps + 1)]
    return list(dict.fromkeys(found))


def _share(kept: float) -> str:
    return f"{kept:.0%}" if kept == kept else "-"
