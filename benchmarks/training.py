"""Does training help, which part of it, and does the gate keep harm away?

    python -m benchmarks.training --data DATA/ir --synthetic PAIRS.jsonl --work DIR [--arms TEXT]

Every arm is trained with three seeds on SciFact and measured on its test queries, on Cranfield and
on Vaswani. What is finished is kept in DIR, so the command goes on where it stopped; without
`--arms`, a text that the names of arms must contain, all are run. The table is printed at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training_arms import Arm, arms
from benchmarks.training_parts import OTHERS, Bench
from llmaug.significance import bootstrap_interval, paired_randomisation
from llmaug.training.dev import DevSet
from llmaug.training.harm_gate import run_gate
from llmaug.training.mine import mine
from llmaug.training.mined import read_mined, write_mined
from llmaug.training.settings import GateSettings
from llmaug.training.splits import qrels_of, queries_of, split_dev
from llmaug.training.teacher import FusionTeacher
from llmaug.training.train import train

DENSE_WEIGHT = {"words": 0.1, "minilm": 0.5}  # in the teacher: how far the start is to be trusted
DEV = 0.2  # of the queries, with the documents that answer them
POOL = 800  # documents that dev queries search in
GATE = GateSettings(weights=(0.5, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--arms", default="")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fp32", action="store_true", help="measure without bfloat16")
    asked = parser.parse_args()
    asked.work.mkdir(exist_ok=True)
    bench = Bench(asked.data, asked.synthetic, asked.work, not asked.fp32)
    for arm in arms().values():
        if asked.arms in arm.name:
            for seed in asked.seeds:
                run(bench, arm, seed=seed)
            show(bench, arm, seeds=asked.seeds)


def run(bench: Bench, arm: Arm, *, seed: int) -> None:
    """Mine, train, measure and gate once; nothing that is kept already is done again."""
    file = record_file(bench, arm, seed)
    if file.exists():
        return
    folder = file.with_suffix("")
    pairs = [pair for name in arm.pairs for pair in bench.pairs(name)]
    parted = split_dev(pairs, share=DEV, seed=0)
    index = bench.index(arm.start)
    mined_file = _mined(bench, arm, parted.train, index)
    settings = replace(arm.training, seed=seed, checkpoint=10**6)
    texts = dict(bench.documents())
    began = time.monotonic()
    trained = train(
        bench.start(arm.start),
        list(read_mined(mined_file)),
        documents=texts.__getitem__,
        settings=settings,
        folder=folder,
    )
    seconds = time.monotonic() - began
    record: dict[str, Any] = {
        "arm": arm.name,
        "seed": seed,
        "pairs": len(parted.train),
        "dev": len(queries_of(parted.dev)),
        "seconds": seconds,
        "pairs_per_second": trained.pairs_per_second,
        "tuned": bench.measured(trained.model, collections=("scifact", *OTHERS)),
    }
    if arm.gate:
        dev = DevSet.of(index, queries_of(parted.dev), qrels_of(parted.dev), size=POOL, seed=0)
        decision = run_gate(
            bench.start(arm.start),
            trained.model,
            dev,
            settings=GATE,
            folder=folder / "gate",
            embedder=bench.embedder,
        )
        record["decision"] = decision.record()
        record["gated"] = bench.measured(
            folder / "gate" / "model", collections=("scifact", *OTHERS)
        )
    file.write_text(json.dumps(record))


def show(bench: Bench, arm: Arm, *, seeds: list[int]) -> None:
    """One line: the mean over seeds, its gain over the start by query, interval and p."""
    records = [json.loads(record_file(bench, arm, seed).read_bytes()) for seed in seeds]
    before = bench.measured(bench.start(arm.start), collections=("scifact", *OTHERS))
    for kind in ("tuned", "gated"):
        if kind not in records[0]:
            continue
        parts = []
        for name in ("scifact", *OTHERS):
            runs = [record[kind][name] for record in records]
            parts.append(_gain(runs, before[name], short=name != "scifact"))
        weights = [record["decision"]["weight"] for record in records if kind == "gated"]
        gate = f" weights {weights}" if weights else ""
        print(f"| {arm.name}, {kind} | {' | '.join(parts)} |{gate}", flush=True)


def _gain(runs: list[Mapping[str, float]], before: Mapping[str, float], *, short: bool) -> str:
    queries = sorted(before)
    table = np.array([[run[query] for query in queries] for run in runs])
    start = np.array([before[query] for query in queries])
    means, gains = table.mean(axis=1), table.mean(axis=0) - start
    interval = bootstrap_interval(gains.tolist(), seed=0)
    said = f"{means.mean():.4f} ({means.min():.4f} to {means.max():.4f})"
    if short:
        return f"{means.mean():.4f} ({gains.mean():+.4f})"
    p = paired_randomisation(gains.tolist(), seed=0)
    return f"{said} | {gains.mean():+.4f} [{interval.low:+.4f}, {interval.high:+.4f}], p {p:.4f}"


def record_file(bench: Bench, arm: Arm, seed: int) -> Path:
    kept = "".join(c if c.isalnum() else "-" for c in arm.name)
    folder = bench.work / "arms"
    folder.mkdir(exist_ok=True)
    return folder / f"{kept}.{seed}.json"


def _mined(bench: Bench, arm: Arm, pairs: Any, index: Any) -> Path:
    settings = "-".join(str(value) for value in asdict(arm.mining).values())
    kept = "".join(
        c if c.isalnum() else "-" for c in f"{arm.start}-{'-'.join(arm.pairs)}-{settings}"
    )
    file = bench.work / "mined" / f"{kept}.jsonl"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        known = {query: list(judged) for query, judged in qrels_of(pairs).items()}
        teacher = FusionTeacher(index, weight=DENSE_WEIGHT[arm.start])
        write_mined(file, mine(pairs, index, known=known, settings=arm.mining, teacher=teacher))
    return file


if __name__ == "__main__":
    main()
