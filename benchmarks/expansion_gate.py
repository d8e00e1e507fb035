"""The learned gate on dense `mix(0.5)`: gain kept, queries made worse, and the plot of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.expansion_hybrid import row
from llmaug.retrieval.gate_fit import fit
from llmaug.retrieval.gate_fitted import Fitted
from llmaug.retrieval.predictors import FEATURES, Features

BUDGET = 0.5
RESAMPLES = 10_000
SAME = 1e-12
SHARES = np.linspace(0, 1, 101)
# Which features a gate may look at; the first is what `llmaug gate fit` takes by default, and
# what the claims are about. The others show what they are worth.
SETS: dict[str, Sequence[str] | None] = {
    "all features": None,
    "before any search": ("words", "idf_mean", "idf_max", "scq_sum", "scq_max"),
    "of the dense ranking": ("top1", "gap", "spread", "nqc"),
    "top1": ("top1",),
    "agreed": ("agreed",),
    "agreed and top1": ("agreed", "top1"),
}

HEADING = (
    f"{'features':24}{'expanded':>9}{'kept':>7}  {'95 % interval':18}{'worse':>7}{'always':>8}"
    f"{'ratio':>7}  {'95 % interval':16}{'better':>7}{'always':>8}"
    "  files: kept >= 90 %, worse <= half, below plain"
)


class Gated(NamedTuple):
    """What cross-fitted gates decided, a gate for each file: (files, queries) each."""

    gains: np.ndarray
    chosen: np.ndarray
    fitted: list[Fitted]

    @property
    def kept(self) -> np.ndarray:
        """The gain that was kept, of each query in each file."""
        return np.where(self.chosen, self.gains, 0.0)


def gated(
    features: Features,
    plain: np.ndarray,
    expanded: np.ndarray,
    *,
    budget: float | None = BUDGET,
    use: Sequence[str] | None = None,
    seed: int = 0,
) -> Gated:
    """A gate for each file, learned from that file's other queries.

    `plain` is the measure of the queries in the order of their ids, `expanded` (files, queries).
    """
    ids = sorted(features)
    before = dict(zip(ids, plain.tolist(), strict=True))
    fitted = [
        fit(
            features,
            before,
            dict(zip(ids, after.tolist(), strict=True)),
            budget=budget,
            use=use,
            seed=seed,
        )
        for after in expanded
    ]
    gains = expanded - plain
    gains[np.abs(gains) < SAME] = 0.0
    return Gated(gains, np.array([[of.decisions[id] for id in ids] for of in fitted]), fitted)


def report(features: Features, plain: np.ndarray, expanded: np.ndarray) -> Gated:
    """Print what the gates keep and spare, and give those of all features."""
    print(f"\n## gate on dense mix(0.5), budget {BUDGET:.0%}, cross-fitted, a gate for each file")
    print(HEADING)
    found = {name: gated(features, plain, expanded, use=use) for name, use in SETS.items()}
    for name, of in found.items():
        print(line(name, of), flush=True)
    ours = found["all features"]
    print("\nthe gate of all features with other folds: share expanded, kept, ratio of worse")
    for seed in range(5):
        of = gated(features, plain, expanded, seed=seed) if seed else ours
        kept, ratio = ratios(of.gains, of.chosen)
        print(f"  seed {seed}: {of.chosen.mean():.1%}, {kept:.1%}, {ratio:.2f}", flush=True)
    print("\nthe same with other budgets")
    for budget in (0.2, 0.3, 0.4, 0.6, 0.8, 1.0):
        print(line(f"  at most {budget:.0%}", gated(features, plain, expanded, budget=budget)))
    return ours


def report_hybrid(
    features: Features, plain: np.ndarray, expanded: Mapping[str, np.ndarray]
) -> None:
    """Print what gates on four-way hybrids reach: the other way to be nowhere below plain."""
    print(f"\n## gate on the hybrid: plain {plain.mean():.4f}")
    print(f"{'':38}{'mean':>8}{'least':>8}{'below':>7}{'worse':>8}{'better':>8}")
    for name, after in expanded.items():
        print(row(f"{name + ', always':38}", after, plain))
        for budget in (0.5, 0.8, None):
            of = gated(features, plain, after, budget=budget)
            limit = "no budget" if budget is None else f"at most {budget:.0%}"
            print(row(f"{f'{name}, gate, {limit}':38}", plain + of.kept, plain), flush=True)


def line(name: str, of: Gated) -> str:
    """One gate of the table."""
    gains, chosen = of.gains, of.chosen
    kept, ratio = ratios(gains, chosen)
    (low, high), (least, most) = intervals(gains, chosen)
    worse, better = (gains < 0) & chosen, (gains > 0) & chosen
    files = (
        int((of.kept.sum(axis=1) >= 0.9 * gains.sum(axis=1)).sum()),
        int((2 * worse.sum(axis=1) <= (gains < 0).sum(axis=1)).sum()),
        int((of.kept.sum(axis=1) < 0).sum()),
    )
    return (
        f"{name:24}{chosen.mean():9.1%}{kept:7.1%}  [{low:6.1%}, {high:6.1%}]  "
        f"{worse.mean():7.1%}{(gains < 0).mean():8.1%}{ratio:7.2f}  [{least:5.2f}, {most:5.2f}]    "
        f"{better.mean():7.1%}{(gains > 0).mean():8.1%}  " + ", ".join(map(str, files))
    )


def ratios(gains: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """The share of the gain that is kept, and of the queries made worse that still are."""
    worse = gains < 0
    kept = float(gains[chosen].sum() / gains.sum())
    return kept, float((worse & chosen).sum() / worse.sum())


def intervals(
    gains: np.ndarray, chosen: np.ndarray, *, seed: int = 0
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bootstrap intervals of both: queries drawn again, with what all files hold for them."""
    drawn = np.random.default_rng(seed).integers(gains.shape[1], size=(RESAMPLES, gains.shape[1]))
    sums = [
        of.sum(axis=0)[drawn].sum(axis=1)
        for of in (gains * chosen, gains, (gains < 0) & chosen, gains < 0)
    ]
    kept, worse = np.percentile([sums[0] / sums[1], sums[2] / sums[3]], [2.5, 97.5], axis=1).T
    return (float(kept[0]), float(kept[1])), (float(worse[0]), float(worse[1]))


def mean_curve(fitted: Sequence[Fitted], name: str) -> np.ndarray:
    """The gain at each of the `SHARES`, averaged over files."""
    gains = np.zeros(len(SHARES))
    for of in fitted:
        curve = of.curves[name]
        gains += np.interp(SHARES, [p.share for p in curve], [p.gain for p in curve])
    return gains / len(fitted)


def plot(path: Path, of: Gated, *, singles: int = 3) -> None:
    """Gain against the share of queries expanded, the mean over files."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    curves: Mapping[str, np.ndarray] = {
        name: mean_curve(of.fitted, name) for name in of.fitted[0].curves
    }
    best = sorted(
        (name for name in curves if name in FEATURES), key=lambda name: -curves[name].mean()
    )[:singles]
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    styles = {"oracle": ("black", 1.2, "-"), "learned": ("tab:blue", 2.6, "-")}
    colours = ("tab:orange", "tab:green", "tab:purple")
    styles |= {name: (colour, 1.2, "-") for name, colour in zip(best, colours, strict=True)}
    for name, (colour, width, dashes) in styles.items():
        label = f"{name} alone" if name in FEATURES else name
        axes.plot(SHARES, curves[name], dashes, color=colour, linewidth=width, label=label)
    always = float(of.gains.mean())
    axes.plot([0, 1], [0, always], "--", color="grey", linewidth=1.2, label="by chance")
    per_query = of.kept.mean(axis=0)
    drawn = np.random.default_rng(0).integers(len(per_query), size=(RESAMPLES, len(per_query)))
    low, high = np.percentile(per_query[drawn].mean(axis=1), [2.5, 97.5])
    gain = float(per_query.mean())
    axes.errorbar(
        [float(of.chosen.mean())],
        [gain],
        yerr=[[gain - low], [high - gain]],
        fmt="o",
        color="tab:blue",
        capsize=3,
        label=f"learned, budget {100 * BUDGET:g} %, 95 % interval",
    )
    axes.axhline(0.9 * always, color="lightgrey", linewidth=1, zorder=0)
    axes.annotate(
        "90 % of the gain of expanding all",
        (0.83, 0.9 * always),
        ha="right",
        va="top",
        fontsize=8,
        color="grey",
    )
    axes.set(
        title=f"dense mix(0.5), MiniLM, SciFact test: mean over {len(of.fitted)} files",
        xlabel="queries expanded",
        ylabel="gain in nDCG@10 over no expansion",
        xlim=(0, 1),
    )
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    figure.savefig(path, dpi=150)
