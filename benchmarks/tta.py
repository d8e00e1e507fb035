"""Test-time augmentation of classifiers with stored rewrites, and with a small language model.

    python -m benchmarks.tta DATA --vectors FOLDER [--plot gates.png]
    python -m benchmarks.tta DATA --vectors FOLDER --llm REPLIES

DATA: a folder with amazon_books, agnews and rewrites, as JSON Lines (benchmarks/RESULTS.md says
where they are from). What MiniLM encodes is kept in the folder of `--vectors`, what the language
model writes in the file REPLIES, so that a second run costs neither.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import llmaug as la
from benchmarks import tta_learned, tta_llm
from benchmarks.tta_settings import SOURCES, K, KeptVectors, Setting, in_domain, shift
from llmaug.significance import bootstrap_interval, holm, mcnemar

DRAWS = range(5)
BUDGETS = (0.2, 0.3, 0.4, 0.42, 0.6)
GATES = ("settled", "entropy", "margin", "max_probability")
EDITS = ("typo", "keyboard", "swap", "delete", "case")


def show(*columns: object) -> None:
    print("| " + " | ".join(map(str, columns)) + " |", flush=True)


def points(differences: np.ndarray) -> str:
    """A mean difference in points with its interval."""
    low, high = bootstrap_interval(differences)
    return f"{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def whole(setting: Setting, plan: str, **how: object) -> np.ndarray:
    """(n,): whether each answer is right with all rewrites and no gate."""
    tta = setting.tta(plan, adaptive=False, **how)
    return setting.right(_opened(setting, tta).predict_proba(setting.texts))


def _opened(setting: Setting, tta: la.TTAClassifier) -> la.TTAClassifier:
    texts, labels = setting.held_out if setting.held_out[0] else _some(setting)
    return tta.fit(texts, labels, budget=1.0)


def _some(setting: Setting) -> tuple[list[str], list[str]]:
    """Labelled texts for a fit that learns nothing from them: B has none held out."""
    return [text.text for text in setting.texts[::10]], setting.labels[::10].tolist()


def sources(setting: Setting) -> None:
    """What every source of rewrites brings with the plain mean, k = 4, every text rewritten."""
    plain = setting.right(setting.plain)
    print(f"\n## {setting.name}: plain {100 * plain.mean():.2f}, mean of the text and 4 rewrites")
    show("source", "accuracy", "points", "McNemar, Holm", "five draws of 4")
    rows = []
    for source in SOURCES:
        n = 1 if source == "back_translation" else K  # all of its fifteen are the same
        first = whole(setting, setting.plan(source, n=n))
        draws = [whole(setting, setting.plan(source, n=n, draw=draw)) for draw in DRAWS]
        rows.append((source, first, draws))
    for kind in EDITS if setting.name == "A" else EDITS[:1]:  # the texts of B are long
        draws = [whole(setting, f"edit({kind!r}, n={K})", seed=seed) for seed in DRAWS]
        rows.append((f"edit {kind}", draws[0], draws))
    corrected = holm([mcnemar(first, plain) for _, first, _ in rows])
    for (source, first, draws), p in zip(rows, corrected, strict=True):
        gains = [100 * (one.mean() - plain.mean()) for one in draws]
        show(
            source,
            f"{100 * first.mean():.2f}",
            points(first.astype(float) - plain),
            f"{p:.3f}",
            f"{np.mean(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})",
        )


def aggregations(setting: Setting) -> None:
    """The ways to aggregate that learn nothing."""
    plain = setting.right(setting.plain)
    print(f"\n## {setting.name}: aggregation, points over {100 * plain.mean():.2f}")
    show("source", *(kinds := ("mean", "logits", "vote", "entropy")))
    for source in SOURCES[:2]:
        plan = setting.plan(source)
        gains = [whole(setting, plan, aggregation=kind).mean() - plain.mean() for kind in kinds]
        show(source, *(f"{100 * gain:+.2f}" for gain in gains))


def fixed(setting: Setting) -> None:
    """The plain mean with the same number of rewrites for every text."""
    plain = setting.right(setting.plain)
    print(f"\n## {setting.name}: mean of the text and k rewrites of every text, points")
    show("source", *(f"k={k}, {k / K:.0%} of calls" for k in range(1, K + 1)))
    for source in SOURCES[:2]:
        gains = [whole(setting, setting.plan(source, n=k)).mean() for k in range(1, K + 1)]
        show(source, *(f"{100 * (gain - plain.mean()):+.2f}" for gain in gains))


def gates(setting: Setting, plot: Path | None) -> None:
    """Gain kept against calls: thresholds set on held-out in-domain texts, without rewrites."""
    plain = setting.right(setting.plain)
    plans = {(s, draw): setting.plan(s, draw=draw) for s in SOURCES[:2] for draw in (None, *DRAWS)}
    full = {of: whole(setting, plan) for of, plan in plans.items()}
    curves: dict[str, list[tuple[float, float]]] = {}
    print("\n## gates, setting A: kept share of the gain of 4 rewrites of every text")
    show("source", "gate", "adaptive", "budget", "calls", "kept", "interval", "five draws of 4")
    for gate in GATES:
        for adaptive in (True, False):
            for budget in BUDGETS:
                tta = setting.tta(plans[SOURCES[0], None], gate=gate, adaptive=adaptive)
                tta.fit(*setting.held_out, budget=budget)
                for source in SOURCES[:2]:
                    kept, calls, rights = [], [], []
                    for draw in (None, *DRAWS):
                        tta.plan = f"keep() + {plans[source, draw]}"
                        tta.use(setting.classifier)
                        right = setting.right(tta.predict_proba(setting.texts))
                        possible = full[source, draw].mean() - plain.mean()
                        kept.append((right.mean() - plain.mean()) / possible)
                        calls.append(tta.account_.asked / tta.account_.possible)
                        rights.append(right)
                    low, high = _kept_interval(rights[0], full[source, None], plain)
                    show(
                        source,
                        gate,
                        "yes" if adaptive else "no",
                        f"{budget:.0%}",
                        f"{calls[0]:.1%}",
                        f"{kept[0]:.0%}",
                        f"{low:.0%} to {high:.0%}",
                        f"{np.mean(kept[1:]):.0%} ({min(kept[1:]):.0%} to {max(kept[1:]):.0%}) "
                        f"at {np.mean(calls[1:]):.1%}",
                    )
                    if source == SOURCES[0]:
                        gain = 100 * (rights[0].mean() - plain.mean())
                        name = f"{gate}, {'one at a time' if adaptive else 'all 4 at once'}"
                        curves.setdefault(name, []).append((100 * calls[0], gain))
    if plot is not None:
        _draw(plot, curves, 100 * (full[SOURCES[0], None].mean() - plain.mean()))
        print(f"\nplot: {plot}")


def _draw(path: Path, curves: dict[str, list[tuple[float, float]]], full: float) -> None:
    """Gain against calls for every gate; on two classes all but "settled" agree."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, places) in enumerate(curves.items()):
        if name.startswith(("margin", "max_probability")):
            continue
        ends = [(0.0, 0.0), *places, *([(100.0, full)] if "once" in name else [])]
        style = "dashed" if "once" in name else "solid"
        axes.plot(*zip(*ends, strict=True), marker="o", color=f"C{number}", ls=style, label=name)
    axes.plot([0, 100], [0, full], color="grey", linestyle="dotted", label="by chance")
    axes.set(xlabel="rewrites asked for, % of all", ylabel="accuracy gained, % points")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def _kept_interval(
    right: np.ndarray, full: np.ndarray, plain: np.ndarray, resamples: int = 10_000
) -> tuple[float, float]:
    """Of the share kept, from texts drawn again."""
    draw = np.random.default_rng(0)
    rows = draw.integers(0, len(plain), (resamples, len(plain)))
    gained = right[rows].mean(axis=1) - plain[rows].mean(axis=1)
    possible = full[rows].mean(axis=1) - plain[rows].mean(axis=1)
    found = np.percentile(gained[possible > 0] / possible[possible > 0], [2.5, 97.5])
    return float(found[0]), float(found[1])


def normaliser(setting: Setting) -> None:
    """The free normaliser by itself, on the seeds and on seeds with letters turned to digits."""
    attack = str.maketrans("aeios", "4310$")
    for name, texts in (
        ("the seeds", [text.text for text in setting.texts]),
        ("leetspeak", [text.text.translate(attack) for text in setting.texts]),
    ):
        only = {variant.root: variant.text for variant in la.augment("normalise()", texts)}
        read = [only.get(str(i), text) for i, text in enumerate(texts)]
        before, after = (
            setting.right(setting.classifier.probabilities(of)) for of in (texts, read)
        )
        print(
            f"\nnormaliser, {name}: changes {len(only)} of {len(texts)}; accuracy "
            f"{100 * before.mean():.2f} to {100 * after.mean():.2f}, "
            f"{points(after.astype(float) - before)}"
        )


def _held_out(setting: Setting) -> float:
    texts, labels = setting.held_out
    chances = setting.classifier.probabilities(texts)
    return float((np.array(setting.classifier.classes)[chances.argmax(axis=1)] == labels).mean())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--vectors", type=Path, required=True)
    asked.add_argument("--plot", type=Path)
    asked.add_argument("--llm", type=Path, help="run SmolLM2-135M, replies kept in this file")
    asked.add_argument("--regularisation", type=float, default=10.0)
    asked.add_argument("--gates", action="store_true", help="only the gates of setting A")
    given = asked.parse_args()
    embedder = KeptVectors(la.embedder("minilm"), given.vectors)
    how = {"regularisation": given.regularisation}
    a = shift(given.data, embedder, **how)
    if given.llm is not None:
        tta_llm.report(a, given.llm)
        return
    b = in_domain(given.data, embedder, **how)
    print(f"held out for A: {len(a.held_out[0])} texts, accuracy {_held_out(a):.4f}")
    if not given.gates:
        for setting in (a, b):
            sources(setting)
            aggregations(setting)
            fixed(setting)
    gates(a, given.plot)
    if given.gates:
        return
    tta_learned.report(a, b, embedder)
    normaliser(a)


if __name__ == "__main__":
    sys.exit(main())
