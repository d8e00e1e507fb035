"""A picture of what more synthetic queries bring: dev quality against how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmaug.errors import MissingExtra, OutputError, PlanError, did_you_mean
from llmaug.formats.atomic import check_file, new_file

PICTURES = (".png", ".svg", ".pdf")
TOO_NEAR = 0.4  # powers of two between two marks whose numbers would touch


class SaturationPoint(NamedTuple):
    """The mean of the dev queries after training on so many synthetic ones, and its interval."""

    queries: int
    mean: float
    low: float
    high: float


def draw(
    points: Sequence[SaturationPoint],
    path: str | Path,
    *,
    base: float,
    measure: str,
    human: float | None = None,
) -> None:
    """Draw the curve into a .png, .svg or .pdf file.

    `base` is the mean of `measure` before training, `human` that after training on human queries
    alone: lines, as 0 has no place on a log axis. Raises `MissingExtra` without matplotlib, and
    `PlanError` where there is no point, or one without a query or with a number that is none.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        raise OutputError(
            f"{path} is no picture that can be drawn; {did_you_mean(path.suffix, PICTURES)}"
        )
    check_file(path)
    _check(points, base, base if human is None else human)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None

    points = sorted(points)
    queries, means, lows, highs = (list(column) for column in zip(*points, strict=True))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    axes.axhline(base, color="grey", linestyle="dashed", label=f"base, {base:.4f}", zorder=1)
    if human is not None:
        named = f"human queries alone, {human:.4f}"
        axes.axhline(human, color="C1", linestyle="dotted", label=named, zorder=1)
    axes.fill_between(queries, lows, highs, color="C0", alpha=0.2, linewidth=0, zorder=2)
    axes.vlines(queries, lows, highs, color="C0", linewidth=1.2, zorder=2)
    label = "trained, with its interval"
    axes.plot(queries, means, color="C0", marker="o", linewidth=2.4, label=label, zorder=3)
    _label(axes, queries)
    shown = measure.replace("$", "\\$")  # or it would begin a formula
    axes.set(xlabel="synthetic queries trained on (log scale)", ylabel=f"{shown} on dev queries")
    axes.legend(frameon=False)
    with new_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix.lower()[1:], dpi=150)


def _check(points: Sequence[SaturationPoint], *lines: float) -> None:
    if not points:
        raise PlanError("a saturation curve has at least one point")
    for point in points:
        if point.queries < 1 or not all(map(math.isfinite, (*point, *lines))):
            raise PlanError(f"no place on a saturation curve: {tuple(point)}, lines at {lines}")


def _label(axes: Any, queries: Sequence[int]) -> None:
    """Mark the points by their numbers of queries, where there is room, and nothing else."""
    from matplotlib.ticker import NullFormatter, NullLocator

    marks: list[int] = []
    for count in reversed(queries):  # the largest is always marked
        if not marks or math.log2(marks[-1] / count) >= TOO_NEAR:
            marks.append(count)
    axes.set_xticks(marks, [f"{count:,}" for count in marks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(queries[0] / 1.2, queries[-1] * 1.2)
    axes.tick_params(labelsize=10)
