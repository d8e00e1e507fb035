"""Tuning the four-way hybrid by cross-validation over queries."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.expansion_searches import Bench, values
from llmaug.retrieval.expand import search_expanded
from llmaug.retrieval.fuse import Fusion, convex, rrf

EIGHTHS = 8
NEAR = 100  # a document beyond this rank in every list is not looked for among the first 10
WEIGHTS = tuple(w for w in itertools.product(range(EIGHTHS + 1), repeat=4) if sum(w) == EIGHTHS)
EQUAL = (2, 2, 2, 2)
RULES: dict[str, Callable[..., Fusion]] = {
    "rrf": lambda weights=None: rrf(weights=weights),
    "minmax": lambda weights=None: convex(weights=weights, scale="minmax"),
    "zscore": lambda weights=None: convex(weights=weights, scale="zscore"),
}
MIXES = ("mix(weight=0.4)", "mix(weight=0.5)", "mix(weight=0.6)")
WORDS = ("mugi_concat(beta=6)", "concat(repeat=5)")
FOLDS = 10


class Setting(NamedTuple):
    """A four-way hybrid; weights in eighths: dense, with expansion, BM25, with expansion."""

    rule: str
    dense: str
    lexical: str
    weights: tuple[int, ...]

    @property
    def combination(self) -> str:
        fusion = RULES[self.rule](weights=self.weights)
        return f"four_way(dense={self.dense!r}, lexical={self.lexical!r}, fusion={str(fusion)!r})"

    @property
    def default_sides(self) -> bool:
        return self.dense == MIXES[1] and self.lexical == WORDS[0]


SETTINGS = [Setting(*parts) for parts in itertools.product(RULES, MIXES, WORDS, WEIGHTS)]
FAMILIES: dict[str, Callable[[Setting], bool]] = {
    "weights of rrf": lambda s: s.rule == "rrf" and s.default_sides,
    "weights of minmax": lambda s: s.rule == "minmax" and s.default_sides,
    "weights of zscore": lambda s: s.rule == "zscore" and s.default_sides,
    "the rule, equal weights": lambda s: s.weights == EQUAL and s.default_sides,
    "rule, sides and weights": lambda s: True,
}


def grid(bench: Bench) -> np.ndarray:
    """nDCG@10 of every setting, (settings, files, queries), the queries in the order of ids."""
    found = np.zeros((len(SETTINGS), len(bench.files), len(bench.queries)), dtype=np.float32)
    plain = [_points(bench.rankings[side]) for side in ("dense", "bm25")]
    for number, expansions in enumerate(bench.files.values()):
        sides = {
            how: _points(
                search_expanded(
                    bench.index, bench.queries, expansions, k=1000, mode=mode, combine=how
                ).rankings
            )
            for mode, hows in (("dense", MIXES), ("bm25", WORDS))
            for how in hows
        }
        block = 0
        for rule, dense, lexical in itertools.product(RULES, MIXES, WORDS):
            lists = [of[rule] for of in (plain[0], sides[dense], plain[1], sides[lexical])]
            for place, id in enumerate(sorted(bench.queries)):
                found[block : block + len(WEIGHTS), number, place] = _ndcg(
                    [of[id] for of in lists], bench.qrels[id]
                )
            block += len(WEIGHTS)
    return found


def cross_validated(
    of: np.ndarray, family: str, how: str, *, seed: int = 0
) -> tuple[np.ndarray, list[list[Setting]]]:
    """nDCG@10 (files, queries), each query under the setting best in the other folds.

    Best for the mean over "all files", over the "other files" than the one scored, or for the
    "same file" alone. Also the settings chosen: for each file the one of each fold.
    """
    within = np.array([FAMILIES[family](setting) for setting in SETTINGS]).nonzero()[0]
    files, queries = of.shape[1:]
    scored = np.zeros((files, queries))
    chosen: list[list[Setting]] = [[] for _ in range(files)]
    for held in folds(queries, seed=seed):
        means = np.delete(of[within], held, axis=2).mean(axis=2, dtype=np.float64)
        for file in range(files):
            others = {
                "all files": means.mean(axis=1),
                "other files": np.delete(means, file, axis=1).mean(axis=1),
                "same file": means[:, file],
            }
            best = within[others[how].argmax()]
            scored[file, held] = of[best, file, held]
            chosen[file].append(SETTINGS[best])
    return scored, chosen


def searched(bench: Bench, chosen: Sequence[Sequence[Setting]], *, seed: int = 0) -> np.ndarray:
    """The same through the search itself, (files, queries)."""
    scored = np.zeros((len(bench.files), len(bench.queries)))
    held = folds(len(bench.queries), seed=seed)
    for number, (file, settings) in enumerate(zip(bench.files, chosen, strict=True)):
        for setting in set(settings):
            found = values(bench.expanded(file, "hybrid", setting.combination))
            for fold, used in zip(held, settings, strict=True):
                if used == setting:
                    scored[number, fold] = found[fold]
    return scored


def folds(queries: int, *, seed: int) -> list[np.ndarray]:
    return np.array_split(np.random.default_rng(seed).permutation(queries), FOLDS)


def tune(bench: Bench, plain: np.ndarray) -> np.ndarray:
    """Print what every family reaches; (files, queries) of the last, through the search."""
    of = grid(bench)
    print(f"\n## hybrid, tuned in {FOLDS} folds of queries; plain hybrid {plain.mean():.4f}")
    print(f"{'tuned':26}{'best in the mean of':21}{'mean':>8}{'least':>8}{'below':>7}"
          f"{'worse':>8}{'better':>8}   means with seeds 0 to 4")  # fmt: skip
    for family in FAMILIES:
        for how in ("same file", "all files", "other files"):
            seeds = [cross_validated(of, family, how, seed=seed) for seed in range(5)]
            scored, chosen = seeds[0]
            print(row(f"{family:26}{how:21}", scored, plain)
                  + "   " + " ".join(f"{some.mean():.4f}" for some, _ in seeds))  # fmt: skip
    common = Counter(setting for settings in chosen for setting in settings)
    for setting, count in common.most_common(3):
        print(f"chosen {count} of {sum(common.values())} times: {setting.combination}")
    exact = searched(bench, chosen)
    print(f"the last through la.search_expanded: mean {exact.mean():.4f} (by the grid "
          f"{scored.mean():.4f}, {np.count_nonzero(abs(exact - scored) > 1e-6)} of {exact.size} "
          "values differ)", flush=True)  # fmt: skip
    return exact


def row(name: str, scored: np.ndarray, plain: np.ndarray) -> str:
    """A line on nDCG@10 (files, queries) beside that without expansion (queries)."""
    means = scored.mean(axis=1)
    return (
        f"{name}{means.mean():8.4f}{means.min():8.4f}{(means < plain.mean() - 1e-9).sum():7}"
        f"{(scored < plain - 1e-6).mean():8.1%}{(scored > plain + 1e-6).mean():8.1%}"
    )


Scored = dict[str, tuple[dict[str, float], float]]  # query id -> points of documents, of the rest


def _points(rankings: Mapping[str, Mapping[str, float]]) -> dict[str, Scored]:
    """What each rule gives the documents of rankings, by rule and query."""
    return {
        name: {id: rule().points(ranking) for id, ranking in rankings.items()}
        for name, rule in RULES.items()
    }


def _ndcg(lists: Sequence[tuple[dict[str, float], float]], grades: Mapping[str, int]) -> np.ndarray:
    """nDCG@10 of one query under each of the `WEIGHTS`; ties as in trec_eval, id descending."""
    near = {document for of, _ in lists for document in itertools.islice(of, NEAR)}
    documents = sorted(near, reverse=True)
    points = np.array([[of.get(document, rest) for document in documents] for of, rest in lists])
    order = np.argsort(-(np.array(WEIGHTS) @ points).astype(np.float32), axis=1, kind="stable")
    gains = np.array([max(0, grades.get(document, 0)) for document in documents])
    discounts = 1 / np.log2(np.arange(2, 12))
    ideal = np.sort(np.array(list(grades.values())))[::-1][:10] @ discounts[: len(grades)]
    ndcg: np.ndarray = gains[order[:, :10]] @ discounts / ideal
    return ndcg
