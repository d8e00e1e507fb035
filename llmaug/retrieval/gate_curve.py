"""What a gate costs and brings: the measure against the share of queries expanded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from llmaug.errors import MissingExtra, OutputError, did_you_mean
from llmaug.formats.atomic import new_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

PICTURES = (".png", ".svg", ".pdf")
SINGLES = 4  # gates of one feature that a plot shows


class At(Protocol):
    """Where on a plot something is."""

    @property
    def share(self) -> float: ...

    @property
    def gain(self) -> float: ...


class Point(NamedTuple):
    """A gate that expands the queries whose score is above `threshold`.

    `share`, `worse` and `better` are shares of all queries: expanded, and those whose measure an
    expansion lowered or raised. `gain` is the mean measure less the plain one, and `kept` its
    share of the gain of expanding every query (NaN where that gains nothing).
    """

    threshold: float
    share: float
    mean: float
    gain: float
    kept: float
    worse: float
    better: float


def cost_curve(scores: ArrayLike, plain: ArrayLike, expanded: ArrayLike) -> list[Point]:
    """Every gate that the scores of queries allow, from no query expanded to all of them.

    Queries of equal score are expanded together. A threshold lies halfway between two scores; at
    the ends it is infinite.
    """
    import numpy as np

    scores, plain = np.asarray(scores, dtype=np.float64), np.asarray(plain, dtype=np.float64)
    gains = np.asarray(expanded, dtype=np.float64) - plain
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[:-1] > ordered[1:], True)) + 1
    counts = np.concatenate([[0], ends])
    thresholds = [math.inf, *(ordered[ends[:-1] - 1] + ordered[ends[:-1]]) / 2, -math.inf]

    def until(values: np.ndarray) -> np.ndarray:
        sums: np.ndarray = np.concatenate([[0.0], np.cumsum(values[order])])[counts]
        return sums / len(scores)

    gained, whole = until(gains), float(gains.mean())
    kept = gained / whole if whole > 0 else np.full(len(counts), math.nan)
    columns = [
        *(thresholds, counts / len(scores), gained + plain.mean(), gained, kept),
        *(until(gains < 0), until(gains > 0)),
    ]
    return [Point(*map(float, values)) for values in zip(*columns, strict=True)]


def choose(
    curve: Sequence[Point], *, budget: float | None = None, most_worse: float | None = None
) -> Point:
    """The point of the best mean among those within both limits; of equals, the cheapest."""
    within = [
        point
        for point in curve
        if (budget is None or point.share <= budget + 1e-9)
        and (most_worse is None or point.worse <= most_worse + 1e-9)
    ]
    return max(within, key=lambda point: (round(point.gain, 12), -point.share))


def threshold_of(scores: np.ndarray, share: float) -> float:
    """The threshold above which so large a share of the scores lies, or less where some equal."""
    return max(
        (point for point in cost_curve(scores, scores, scores) if point.share <= share + 1e-9),
        key=lambda point: point.share,
    ).threshold


def feature_curve(values: ArrayLike, plain: ArrayLike, expanded: ArrayLike) -> list[Point]:
    """The curve of a gate of one feature, on the side of it where expansions gain more.

    The side is taken from these very queries, which flatters the feature a little.
    """
    import numpy as np

    values = np.asarray(values, dtype=np.float64)
    gains = np.asarray(expanded, dtype=np.float64) - np.asarray(plain, dtype=np.float64)
    side = float((values - values.mean()) @ gains)
    return cost_curve(values if side >= 0 else -values, plain, expanded)


def area(curve: Sequence[Point]) -> float:
    """The mean gain over all shares of queries expanded, by the trapezoidal rule."""
    return math.fsum(
        (right.share - left.share) * (left.gain + right.gain) / 2
        for left, right in itertools.pairwise(curve)
    )


def plot(
    path: str | Path, curves: Mapping[str, Sequence[Point]], *, chosen: At | None = None
) -> None:
    """Draw gain against the share of queries expanded into a .png, .svg or .pdf file.

    `curves` has "learned" and "oracle", and single features by name, of which the best are drawn;
    a gate by chance is the straight line between the ends. `chosen` is marked where given. Raises
    `MissingExtra` without matplotlib.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        raise OutputError(
            f"{path} is no picture that can be drawn; {did_you_mean(path.suffix, PICTURES)}"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None

    singles = sorted(curves.keys() - {"learned", "oracle"}, key=lambda name: -area(curves[name]))
    styles = {"oracle": ("black", 1.2), "learned": ("tab:blue", 2.4)}
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    styles |= {name: (f"C{number}", 1.0) for number, name in enumerate(singles[:SINGLES], 1)}
    for name, (colour, width) in styles.items():
        points = curves[name]
        axes.plot(
            [100 * point.share for point in points],
            [point.gain for point in points],
            label=name,
            color=colour,
            linewidth=width,
        )
    ends = curves["learned"][0], curves["learned"][-1]
    axes.plot(
        [0, 100], [end.gain for end in ends], label="by chance", color="grey", linestyle="dashed"
    )
    if chosen is not None:
        axes.plot([100 * chosen.share], [chosen.gain], "o", color="tab:blue", label="chosen")
    axes.axhline(0, color="lightgrey", linewidth=0.8, zorder=0)
    axes.set(xlabel="queries expanded, %", ylabel="mean gain over no expansion", xlim=(0, 100))
    axes.legend(frameon=False)
    with new_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix.lower()[1:], dpi=150)
