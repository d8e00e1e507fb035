"""Query expansion on stored expansions of SciFact's queries, and by a small model on Cranfield.

    python -m benchmarks.expansion EXPANSIONS SCIFACT INDEX --vectors FOLDER --plot gate.png
    python -m benchmarks.expansion --llm CRANFIELD INDEX --written FOLDER

EXPANSIONS: a folder of files by QueryGym or `llmaug expand`, the same queries in each. SCIFACT and
CRANFIELD: folders in BEIR's format. INDEX: what `llmaug index` made of it with MiniLM. What is
encoded is kept in the folder of `--vectors`, what the model writes in that of `--written`, so that
a second run costs neither.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import llmaug as la
from benchmarks import expansion_gate, expansion_hybrid, expansion_llm
from benchmarks.expansion_searches import MEASURE, MODES, WAYS, ZSCORE, Bench, values
from benchmarks.expansion_tests import Claim, evaluation_of, report
from llmaug.retrieval.fuse import fuse
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.predictors import predictors

RULES = ("rrf(k=60)", "convex(scale='minmax')", ZSCORE)


def stored(expansions: Path, data: Path, index: Path, *, vectors: Path, plot: Path | None) -> None:
    """All parts of the benchmark that need no language model."""
    bench = Bench(expansions, data, index, vectors=vectors)
    plain = {mode: bench.plain(mode) for mode in MODES}
    plain["hybrid zscore"] = bench.plain("hybrid", ZSCORE)
    every = {
        name: [bench.expanded(file, mode, how) for file in bench.files] for name, mode, how in WAYS
    }
    rule_by_training_queries(bench, data)
    tuned = expansion_hybrid.tune(bench, values(plain["hybrid"]))
    ids = sorted(bench.queries)
    every["tuned"] = [evaluation_of(ids, of) for of in tuned]
    table(bench, plain, every)
    features = predictors(bench.index, bench.queries, plain=bench.rankings)
    measured = {name: np.array([values(of) for of in some]) for name, some in every.items()}
    gate = expansion_gate.report(features, values(plain["dense"]), measured["mix"])
    hybrids = {name: measured[name] for name in ("four_way rrf", "four_way zscore")}
    expansion_gate.report_hybrid(features, values(plain["hybrid"]), hybrids)
    every["gated mix"] = [evaluation_of(ids, values(plain["dense"]) + kept) for kept in gate.kept]
    claims(bench, plain, every)
    if plot:
        expansion_gate.plot(plot, gate)
        print(f"\nplot: {plot}")


def rule_by_training_queries(bench: Bench, data: Path) -> None:
    """Print what each fusion rule gives the training queries, without any expansion."""
    training = la.Collection.read(data, split="train")
    queries = {id: training.queries[id] for id in training.qrels}
    assert not queries.keys() & bench.queries.keys()
    sides = [bench.index.search(queries, k=1000, mode=mode) for mode in ("dense", "bm25")]
    print(f"## plain hybrid of {len(queries)} training queries")
    for rule in RULES:
        mean = evaluate(fuse(sides, rule), training.qrels, [MEASURE]).mean[MEASURE]
        print(f"{rule:24}{mean:8.4f}", flush=True)


def table(bench: Bench, plain: dict[str, Evaluation], every: dict[str, list[Evaluation]]) -> None:
    """Print nDCG@10 of each file under each combination."""
    print("\n## nDCG@10 by file; plain: "
          + ", ".join(f"{name} {of.mean[MEASURE]:.4f}" for name, of in plain.items()))  # fmt: skip
    print(" " * 34 + "".join(f"{name:>17}" for name in every))
    for number, file in enumerate(bench.files):
        means = [of[number].mean[MEASURE] for of in every.values()]
        print(f"{file:34}" + "".join(f"{mean:17.4f}" for mean in means))
    over = {name: np.array([of.mean[MEASURE] for of in some]) for name, some in every.items()}
    for what, summary in (("mean", np.mean), ("least", np.min), ("most", np.max)):
        print(f"{what:34}" + "".join(f"{summary(means):17.4f}" for means in over.values()))
    for baseline, evaluation in plain.items():
        below = [(means < evaluation.mean[MEASURE] - 1e-9).sum() for means in over.values()]
        print(f"{'below plain ' + baseline:34}" + "".join(f"{count:17}" for count in below))


# Of what is claimed: the combination, and without expansion.
CLAIMED = (
    ("alone", "dense"),
    ("concat", "dense"),
    ("mix", "dense"),
    ("gated mix", "dense"),
    ("mugi_concat", "bm25"),
    ("concat x5", "bm25"),
    ("four_way rrf", "hybrid"),
    ("four_way zscore", "hybrid"),
    ("tuned", "hybrid"),
    ("four_way zscore", "hybrid zscore"),
    ("tuned", "hybrid zscore"),
)
CLAIMED_BY_FILE = (
    ("mix", "dense"),
    ("four_way rrf", "hybrid"),
    ("four_way zscore", "hybrid"),
    ("tuned", "hybrid"),
)


def claims(bench: Bench, plain: dict[str, Evaluation], every: dict[str, list[Evaluation]]) -> None:
    """Print paired tests of the means over files, and of each file by itself."""
    ids = sorted(bench.queries)
    means = {
        name: evaluation_of(ids, np.mean([values(of) for of in some], axis=0))
        for name, some in every.items()
    }
    report(
        f"each query's mean over the {len(bench.files)} files",
        [Claim(name, means[name], f"plain {of}", plain[of]) for name, of in CLAIMED],
    )
    report(
        "file by file",
        [
            Claim(f"{name}, {file}", one, f"plain {of}", plain[of])
            for name, of in CLAIMED_BY_FILE
            for file, one in zip(bench.files, every[name], strict=True)
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, help="EXPANSIONS SCIFACT INDEX")
    parser.add_argument("--vectors", type=Path, help="a folder for what is encoded")
    parser.add_argument("--plot", type=Path, help="a picture of the gate")
    parser.add_argument("--llm", action="store_true", help="a small model, on CRANFIELD INDEX")
    parser.add_argument("--written", type=Path, help="a folder for what the model writes")
    parser.add_argument("--queries", type=int, help="no more than so many, drawn with seed 0")
    arguments = parser.parse_args()
    if len(arguments.paths) != (2 if arguments.llm else 3):
        parser.error("give EXPANSIONS SCIFACT INDEX, or --llm CRANFIELD INDEX")
    needed = "written" if arguments.llm else "vectors"
    if getattr(arguments, needed) is None:
        parser.error(f"give --{needed}")
    if arguments.llm:
        expansion_llm.run(*arguments.paths, folder=arguments.written, queries=arguments.queries)
    else:
        stored(*arguments.paths, vectors=arguments.vectors, plot=arguments.plot)


if __name__ == "__main__":
    main()
