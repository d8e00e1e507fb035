"""What is learned: weights of several sources of rewrites, and a student of the answers."""

from __future__ import annotations

import numpy as np

import llmaug as la
from benchmarks.tta_settings import SOURCES, Setting
from llmaug.classify.aggregation import Weights, aggregated
from llmaug.classify.votes import Votes
from llmaug.significance import bootstrap_interval

SPLITS = range(5)


def points(differences: np.ndarray) -> str:
    low, high = bootstrap_interval(differences)
    return f"{100 * differences.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def every_source(setting: Setting, n: int) -> str:
    """n rewrites of each source (the one of back-translation): the same calls for every way."""
    return " + ".join(
        setting.plan(source, n=1 if source == "back_translation" else n) for source in SOURCES
    )


def halves(setting: Setting, split: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each half of the seeds to learn on, with the other to be tested on."""
    order = np.random.default_rng(split).permutation(len(setting.texts))
    middle = len(order) // 2
    return [(order[:middle], order[middle:]), (order[middle:], order[:middle])]


def cross_fitted(setting: Setting, plan: str, embedder: la.Embedder | None) -> np.ndarray:
    """(n,): how often each seed is answered rightly over the splits, by weights of other seeds."""
    right = np.zeros(len(setting.texts))
    for split in SPLITS:
        for learn, test in halves(setting, split):
            tta = setting.tta(plan, aggregation="learned", adaptive=False, embedder=embedder)
            tta.fit([setting.texts[i] for i in learn], setting.labels[learn].tolist(), budget=1.0)
            answers = tta.predict([setting.texts[i] for i in test])
            right[test] += answers == setting.labels[test]
    return right / len(SPLITS)


def carried(setting: Setting, other: Setting, n: int) -> tuple[np.ndarray, Weights]:
    """The same by weights that were learned on all seeds of the other setting."""
    learned = other.tta(every_source(other, n), aggregation="learned", adaptive=False)
    learned.fit(other.texts, other.labels.tolist(), budget=1.0)
    tta = setting.tta(every_source(setting, n), aggregation="learned", adaptive=False)
    tta.fit(setting.texts[::10], setting.labels[::10].tolist(), budget=1.0)
    weights = learned.policy_.weights
    assert weights is not None
    decisions = list(tta.decide(setting.texts))
    answers = np.array([_by(weights, one, tta) for one in decisions])
    return setting.right(answers), weights


def _by(weights: Weights, decision: object, tta: la.TTAClassifier) -> np.ndarray:
    """The answer to one text under other weights."""
    votes = Votes.of(decision.plain[None])  # type: ignore[attr-defined]
    for one in decision.variants:  # type: ignore[attr-defined]
        source = tta.rewriter_.source(one.text.made_by)
        votes.add(0, one.probabilities, source=source, likeness=float("nan"), number=1)
    return aggregated(votes, "learned", weights)[0]


def report(a: Setting, b: Setting, embedder: la.Embedder) -> None:
    print("\n## learned weights against the plain mean of all rewrites, the same calls for both")
    print("| setting | rewrites | plain | mean of all | learned, cross-fitted | over the mean |")
    for n in (1, 4):
        for setting, other in ((a, b), (b, a)):
            plain = setting.right(setting.plain).astype(float)
            tta = setting.tta(every_source(setting, n), adaptive=False)
            tta.fit(setting.texts[::10], setting.labels[::10].tolist(), budget=1.0)
            mean = setting.right(tta.predict_proba(setting.texts)).astype(float)
            learned = cross_fitted(setting, every_source(setting, n), None)
            by_other, weights = carried(setting, other, n)
            print(
                f"| {setting.name} | {tta.policy_.size} | {100 * plain.mean():.2f} "
                f"| {100 * mean.mean():.2f} | {100 * learned.mean():.2f} "
                f"| {points(learned - mean)}; over no rewrites {points(learned - plain)}; carried "
                f"over from {other.name} {points(by_other - mean)} |"
            )
            print(f"  weights from {other.name}: {weights}", flush=True)
    print("\n## learned weights with one source: the text against its rewrites, by likeness")
    for setting in (a, b):
        for source in SOURCES[:2]:
            tta = setting.tta(setting.plan(source), adaptive=False)
            tta.fit(setting.texts[::10], setting.labels[::10].tolist(), budget=1.0)
            mean = setting.right(tta.predict_proba(setting.texts)).astype(float)
            learned = cross_fitted(setting, setting.plan(source), embedder)
            print(f"| {setting.name} | {source} | {points(learned - mean)} over the mean |")
    distil(a, embedder)


def distil(setting: Setting, embedder: la.Embedder) -> None:
    """A student of the answers to one half of the seeds, tested on the other without rewrites."""
    texts, labels = setting.held_out
    plain = setting.right(setting.plain).astype(float)
    teacher, student = np.zeros(len(plain)), np.zeros(len(plain))
    for split in SPLITS:
        for learn, test in halves(setting, split):
            tta = setting.tta(setting.plan(SOURCES[0])).fit(texts, labels, budget=1.0)
            made = tta.distil([setting.texts[i] for i in learn], embedder=embedder)
            found = made.probabilities([setting.texts[i].text for i in test])
            answers = np.array(made.classes)[found.argmax(axis=1)]
            student[test] += answers == setting.labels[test]
            teacher[test] += tta.predict([setting.texts[i] for i in test]) == setting.labels[test]
    n = len(SPLITS)
    print(
        f"\ndistillation, {setting.name}: classifier {100 * plain.mean():.2f}, with rewrites "
        f"{100 * teacher.mean() / n:.2f}, student of {len(plain) // 2} unlabelled texts "
        f"{100 * student.mean() / n:.2f}: {points(student / n - plain)} over the classifier"
    )
