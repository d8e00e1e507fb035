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

from benchmarks.training import POOL, record_file
from benchmarks.training_arms import RATIOS, arms
from benchmarks.training_parts import MEASURE, OTHERS, Bench
from llmaug.significance import bootstrap_interval, holm, paired_randomisation
from llmaug.training.dev import DevSet
from llmaug.training.divergence import divergence
from llmaug.training.ratio import choose_ratio
from llmaug.training.splits import qrels_of, queries_of

SEEDS = (0, 1, 2)


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
    names = [name for name, arm in arms().items() if (arm.start, arm.pairs) == ("words", (pairs,))]
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
        line = f"| {name} | {_spread(tables[name])} |"
        if name != alone:
            line += f" {_gain(tables[name], tables[alone])} | {p_values[name]:.4f} |"
        others = [f"{np.mean(_test(bench, name, of=other)):.4f}" for other in OTHERS]
        print(line, *others, flush=True)


def ratio(bench: Bench) -> None:
    """The ratio that human dev queries choose, beside the test values of all ratios."""
    clean, synthetic = bench.pairs("human_clean"), bench.pairs("synthetic")
    few = bench.pairs("human_few")
    queries = {pair.query_id for pair in few}
    documents = {pair.document_id for pair in (*few, *synthetic)}
    left = [p for p in clean if p.query_id not in queries and p.document_id not in documents]
    dev = DevSet.of(bench.index("words"), queries_of(left), qrels_of(left), size=POOL, seed=0)
    tried: dict[float, Sequence[Mapping[str, float]]] = {}
    for one in RATIOS["human_few"]:
        arm = arms()[f"words: human_few + synthetic, ratio {one:g}"]
        models = [record_file(bench, arm, seed).with_suffix("") for seed in SEEDS]
        tried[one] = [dev.values(bench.embedder(model / "model"), MEASURE) for model in models]
    print(choose_ratio(tried))
    for human, ratios in RATIOS.items():
        tables = [_test(bench, f"words: {human} + synthetic, ratio {one:g}") for one in ratios]
        for one, table in zip(ratios, tables, strict=True):
            gain = _gain(table, tables[0])
            print(f"| {human}, {one:g} | {_spread(table)} | {gain} |", flush=True)
    texts = [[pair.query for pair in pairs] for pairs in (clean, synthetic)]
    print(divergence(*texts, bench.embedder(bench.start("minilm"))))


def _finished(bench: Bench, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        if all(record_file(bench, arms()[name], seed).exists() for seed in SEEDS):
            found.append(name)
        else:
            print(f"not run: {name}")
    return found


def _spread(table: np.ndarray) -> str:
    seeds = table.mean(axis=1)
    return f"{seeds.mean():.4f} ({seeds.min():.4f} to {seeds.max():.4f})"


def _gain(table: np.ndarray, before: np.ndarray) -> str:
    """By query, of the means over seeds, with its 95 % interval."""
    gains = table.mean(axis=0) - before.mean(axis=0)
    interval = bootstrap_interval(gains.tolist(), seed=0)
    return f"{gains.mean():+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _test(bench: Bench, name: str, *, of: str = "scifact") -> np.ndarray:
    """nDCG@10 of the tuned model, (seeds, test queries)."""
    files = [record_file(bench, arms()[name], seed) for seed in SEEDS]
    runs = [json.loads(file.read_bytes())["tuned"][of] for file in files]
    return np.array([[run[query] for query in sorted(run)] for run in runs])


if __name__ == "__main__":
    main()
