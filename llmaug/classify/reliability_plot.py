"""A reliability diagram: how often a classifier is right when it says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from llmaug.classify.scores import Bin
from llmaug.errors import MissingExtra, OutputError, did_you_mean
from llmaug.formats.atomic import check_file, new_file

PICTURES = (".png", ".svg", ".pdf")
LARGEST = 200.0  # square points of the mark of a bin that holds all texts


def check_picture(path: Path) -> None:
    """Raise `OutputError` where no picture can be written, before any work is done."""
    if path.suffix.lower() not in PICTURES:
        raise OutputError(
            f"{path} is no picture that can be drawn; {did_you_mean(path.suffix, PICTURES)}"
        )
    check_file(path)


def plot(path: str | Path, predictors: Mapping[str, Sequence[Bin]]) -> None:
    """Draw accuracy against the top probability into a .png, .svg or .pdf file.

    `predictors` has the bins of each by name, as `reliability` gives them; the size of a mark is
    the share of texts in the bin, and the number in the legend the calibration error. Raises
    `MissingExtra` without matplotlib.
    """
    path = Path(path)
    check_picture(path)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="dashed", label="calibrated")
    for number, (name, bins) in enumerate(predictors.items()):
        texts = sum(one.texts for one in bins)
        error = sum(one.texts * abs(one.accuracy - one.confidence) for one in bins) / texts
        places = [one.confidence for one in bins], [one.accuracy for one in bins]
        shown = name.replace("$", "\\$")  # or it would begin a formula
        label = f"{shown} (ECE {error:.3f})"
        axes.plot(*places, color=f"C{number}", linewidth=1.4, label=label)
        sizes = [LARGEST * one.texts / texts for one in bins]
        axes.scatter(*places, s=sizes, color=f"C{number}", alpha=0.7)
    axes.set(xlabel="probability of the predicted class", ylabel="share that is right")
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02))
    axes.legend(frameon=False)
    with new_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix.lower()[1:], dpi=150)
