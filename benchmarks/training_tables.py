"""Each component beside InfoNCE alone, and how many synthetic queries to take, of finished arms.

    python -m benchmarks.training_tables components --pairs synthetic [the options below]
    python -m benchmarks.training_tables ratio --data DATA/ir --synthetic PAIRS.jsonl --work DIR

Reads what `benchmarks.training` left in DIR; arms that were not run yet are left out, and said.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.training import DEV, POOL, record_file
from benchmarks.training_arms import arms
from benchmarks.training_parts import MEASURE, OTHERS, Bench
from llmaug.significance import bootstrap_interval, holm, paired_randomisation
from llmaug.training.dev import DevSet
from llmaug.training.divergence import divergence
from llmaug.training.ratio import choose_ratio
from llmaug.training.splits import qrels_of, queries_of, split_dev

SEEDS = (0, 1, 2)
RATIOS = (0.0, 0.5, 1.0, 2.0, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("components", "ratio"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pairs", default="synthetic", choices=("synthetic", "human_clean"))
    asked = parser.parse_args()
    bench = Bench(asked.data, asked.synthetic, asked.work, bf16=True)
    if asked.what == "components":
        components(bench, pairs=asked.pairs)
    else:
        ratio(bench)


def components(bench: Bench, *, pairs: str) -> None:
    """Gains over InfoNCE alone by query, of the mean of the seeds; p after Holm over the rows."""
    names = [name for name in arms() if name.startswith(f"words: {pairs}")]
    alone = f"words: {pairs}, InfoNCE"
    names = _finished(bench, [alone, *(name for name in names if name != alone)])
    tables = {name: _test(bench, name) for name in names}
    gains = {
        name: table.mean(axis=0) - tables[alone].mean(axis=0) for name, table in tables.items()
    }
    told = [name for name in names if name != alone]
    corrected = holm([paired_randomisation(gains[name].tolist(), seed=0) for name in told])
    p_values = dict(zip(told, corrected, strict=True))
    for name in names:
        seeds = tables[name].mean(axis=1)
        line = f"| {name} | {seeds.mean():.4f} ({seeds.min():.4f} to {seeds.max():.4f}) |"
        if name != alone:
            interval = bootstrap_interval(gains[name].tolist(), seed=0)
            gain = f"{gains[name].mean():+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
            line += f" {gain} | {p_values[name]:.4f} |"
        others = [f"{np.mean(_test(bench, name, of=other)):.4f}" for other in OTHERS]
        print(line, " ".join(others), flush=True)


def ratio(bench: Bench) -> None:
    """The ratio that human dev queries choose, beside the test values of all ratios."""
    human, synthetic = (bench.pairs(name) for name in ("human_clean", "synthetic"))
    dev = [
        pair
        for pair in split_dev([*human, *synthetic], share=DEV, seed=0).dev
        if pair.origin == "human"
    ]
    pool = DevSet.of(bench.index("words"), queries_of(dev), qrels_of(dev), size=POOL, seed=0)
    names = {one: f"words: both, ratio {one:g}" for one in RATIOS}
    tried: dict[float, Sequence[Mapping[str, float]]] = {}
    for one, name in names.items():
        models = [record_file(bench, arms()[name], seed).with_suffix("") for seed in SEEDS]
        tried[one] = [pool.values(bench.embedder(model / "model"), MEASURE) for model in models]
    print(choose_ratio(tried))
    for name in names.values():
        means = _test(bench, name).mean(axis=1)
        print(f"| {name} | {means.mean():.4f} ({means.min():.4f} to {means.max():.4f}) |")
    texts = [[pair.query for pair in pairs] for pairs in (human, synthetic)]
    print(divergence(*texts, bench.embedder(bench.start("minilm"))))


def _finished(bench: Bench, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        if all(record_file(bench, arms()[name], seed).exists() for seed in SEEDS):
            found.append(name)
        else:
            print(f"not run: {name}")
    return found


def _test(bench: Bench, name: str, *, of: str = "scifact") -> np.ndarray:
    """nDCG@10 of the tuned model, (seeds, test queries)."""
    files = [record_file(bench, arms()[name], seed) for seed in SEEDS]
    runs = [json.loads(file.read_bytes())["tuned"][of] for file in files]
    return np.array([[run[query] for query in sorted(run)] for run in runs])


if __name__ == "__main__":
    main()
