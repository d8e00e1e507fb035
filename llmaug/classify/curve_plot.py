"""A picture of gates: what rewriting brings, against what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from llmaug.classify.calibration import Point
from llmaug.classify.reliability_plot import check_picture
from llmaug.errors import MissingExtra
from llmaug.formats.atomic import new_file

SAME = 0.5  # percent points between two lines that are drawn as one
DASHES = ("solid", "dashed", "dashdot", "dotted", (0, (5, 1, 1, 1, 1, 1)))
Places = tuple[list[float], list[float]]


def plot(
    path: str | Path,
    curves: Mapping[str, Sequence[Point]],
    *,
    chosen: tuple[str, Point],
    plain: float,
    rewritten: bool,
) -> None:
    """Draw the curves of gates by name into a .png, .svg or .pdf file.

    Where texts were `rewritten`, the accuracy gained over `plain` against the share of all
    rewrites asked for; else the share of the classifier's mistakes that a gate opens, against the
    share that it is expected to ask for. The point of the gate `chosen` is marked. Gates that do
    the same (of two classes most do) are one line. Raises `MissingExtra` without matplotlib.
    """
    path = Path(path)
    check_picture(path)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None

    gate, point = chosen
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    lines = _lines(curves, plain=plain, rewritten=rewritten)
    ordered = sorted(lines.items(), key=lambda line: gate not in line[0])  # its own one first
    for number, (names, places) in enumerate(ordered):
        own = gate in names
        axes.plot(
            *places,
            label=", ".join(names),
            color=f"C{number}",
            linestyle=DASHES[number % len(DASHES)],
            linewidth=2.4 if own else 1.4,
            zorder=3 if own else 2,
        )
        if own:
            x, y = _places([point], plain=plain, rewritten=rewritten)
            axes.plot(x, y, "o", color=f"C{number}", markersize=9, zorder=4, label="chosen point")
    if rewritten:
        axes.axhline(0, color="lightgrey", linewidth=0.8, zorder=0)
        axes.set(xlabel="rewrites asked for, % of all", ylabel="accuracy gained, % points")
    else:
        axes.set(xlabel="rewrites asked for, % of all (expected)")
        axes.set(ylabel="the classifier's mistakes rewritten, %", ylim=(-2, 102))
    axes.set(xlim=(-2, 102))
    axes.legend(frameon=False)
    with new_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix.lower()[1:], dpi=150)


def _lines(
    curves: Mapping[str, Sequence[Point]], *, plain: float, rewritten: bool
) -> dict[tuple[str, ...], Places]:
    """The places of each line by the names of the gates that it stands for."""
    found: dict[tuple[str, ...], Places] = {}
    for name, points in curves.items():
        places = _places(points, plain=plain, rewritten=rewritten)
        same = next((names for names, other in found.items() if _near(other, places)), ())
        found.pop(same, None)
        found[*same, name] = places
    return found


def _places(points: Sequence[Point], *, plain: float, rewritten: bool) -> Places:
    """Both coordinates of points, in percent."""
    brought = [point.accuracy - plain if rewritten else point.mistakes for point in points]
    return [100 * point.calls for point in points], [100 * value for value in brought]


def _near(one: Places, other: Places) -> bool:
    """Whether two lines cannot be told apart by eye: they differ by chance at single texts."""
    if len(one[0]) != len(other[0]):
        return False
    apart = [
        abs(here - there)
        for axis, same in zip(one, other, strict=True)
        for here, there in zip(axis, same, strict=True)
    ]
    return sum(apart) / len(apart) < SAME
