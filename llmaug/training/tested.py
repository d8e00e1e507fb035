"""How good the result of a recipe is on test queries, beside what there was before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmaug.retrieval.catalogues import PREFIXES
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.compare import compare_evaluations
from llmaug.retrieval.index import Index
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.rankings import Rankings, write_rankings
from llmaug.retrieval.settings import Settings
from llmaug.significance import bootstrap_interval
from llmaug.training.card_facts import Estimate, OnCollection, SystemRow
from llmaug.training.ledger import Stage
from llmaug.training.recipe_run import RecipeRun

BASE, TUNED = "base", "tuned"
DEPTH = 100  # documents of a ranking that is kept


def on_collections(run: RecipeRun, stage: Stage) -> list[OnCollection]:
    """The test of the corpus, then those of the other collections, each with its runs on disk."""
    test = run.recipe.test
    assert test is not None
    tuned = Index.open(run.ledger.folder / "index")
    names = _names([run.recipe.corpus, *test.also])
    results = [_tested(run, stage, run.collection, names[0], before=run.base_index, after=tuned)]
    for name, shown in zip(test.also, names[1:], strict=True):
        collection = Collection.read(name)
        before, after = (
            Index.build(
                Collection(collection.name, collection.documents),
                stage.work / f"{len(results)}-{which}",
                embedder=embedder,
                settings=Settings(),
                progress=run.progress,
            )
            for which, embedder in ((BASE, run.base), (TUNED, tuned.embedder))
        )
        results.append(_tested(run, stage, collection, shown, before=before, after=after))
    return results


def read_results(path: Path) -> Iterator[OnCollection]:
    """The results that the stage wrote."""
    for one in orjson.loads(path.read_bytes()):
        rows = tuple(SystemRow(row["system"], _estimates(row["values"])) for row in one["rows"])
        yield OnCollection(
            one["collection"], one["queries"], rows, _estimates(one["gains"]), one["p"]
        )


def _tested(
    run: RecipeRun,
    stage: Stage,
    collection: Collection,
    name: str,
    *,
    before: Index,
    after: Index,
) -> OnCollection:
    queries, file = collection.judged_queries, re.sub(r"[^\w.-]+", "-", name)
    found: dict[str, Rankings] = {}
    for system, index, mode in (
        (BASE, before, "dense"),
        (TUNED, after, "dense"),
        ("BM25", before, "bm25"),
        ("hybrid of the base", before, "hybrid"),
        ("hybrid of the tuned", after, "hybrid"),
    ):
        if mode in index.modes:
            found[system] = index.search(queries, k=DEPTH, mode=mode)
            tag = system.replace(" ", "-")
            write_rankings(stage.folder / f"{file}.{tag}.trec", found[system], tag=tag)
    measures = run.recipe.evaluate.measures
    evaluations = {
        system: evaluate(rankings, collection.qrels, measures) for system, rankings in found.items()
    }
    seed = run.recipe.seed
    compared = compare_evaluations(
        {system: evaluations[system] for system in (BASE, TUNED)}, baseline=BASE, seed=seed
    )
    return OnCollection(
        collection=name,
        queries=len(queries),
        rows=tuple(
            SystemRow(system, _of(evaluation, seed=seed))
            for system, evaluation in evaluations.items()
        ),
        gains={row.measure: Estimate(row.difference, row.low, row.high) for row in compared.rows},
        p={row.measure: row.p for row in compared.rows},
    )


def _names(collections: list[str]) -> list[str]:
    """What the collections are called, each once, without the folders above them."""
    names: list[str] = []
    for one in collections:
        name = one if one.startswith(PREFIXES) else Path(one).name
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _of(evaluation: Evaluation, *, seed: int) -> dict[str, Estimate]:
    values = {}
    for measure, by_query in evaluation.per_query.items():
        interval = bootstrap_interval(list(by_query.values()), seed=seed)
        values[measure] = Estimate(evaluation.mean[measure], interval.low, interval.high)
    return values


def _estimates(record: dict[str, Any]) -> dict[str, Estimate]:
    return {measure: Estimate(*value) for measure, value in record.items()}
