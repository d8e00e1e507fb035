"""The stages behind training: the gate, the index of the model that goes out, and its card."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import OutputError
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.index import Index
from llmaug.training.card import model_card
from llmaug.training.gate_decision import Decision
from llmaug.training.harm_gate import DECISION, run_gate
from llmaug.training.recipe_card import facts_of
from llmaug.training.recipe_run import RecipeRun, mark_of
from llmaug.training.stage_saturation import PICTURE
from llmaug.training.stage_training import MODEL, dev_set
from llmaug.training.tested import on_collections, read_results

RESULTS, CARD = "results.json", "README.md"


def gate(run: RecipeRun) -> None:
    """Decide by the dev queries whether the tuned model goes out, or part of it, or the base."""
    settings = run.recipe.gate
    trainings = len(run.counts["train"].get("sweep", ())) or 1
    inputs = {
        "train": run.digests["train"],
        "filter": run.digests["filter"],
        "gate": settings and asdict(settings),
        "trainings": trainings,
        "pool": run.recipe.dev and run.recipe.dev.pool,
    }
    with run.ledger.stage("gate", inputs=inputs) as stage:
        if not stage.done:
            decision = run_gate(
                run.base.folder,
                run.ledger.folder / "train" / MODEL,
                dev_set(run) if settings else None,
                settings=settings,
                folder=stage.folder,
                trainings=trainings,
                progress=lambda line: run.said(f"gate: {line}"),
            )
            stage.counts |= {"weight": decision.weight, "reason": decision.reason}
    run.digests["gate"] = stage.digest
    run.told("gate", stage.counts, str(_decision(run)))


def index(run: RecipeRun) -> None:
    """Index the corpus with the model that goes out."""
    settings = run.recipe.index
    if settings is None:
        return
    inputs = {"gate": run.digests["gate"], "base": run.digests["base"], "index": settings.record()}
    with run.ledger.stage("index", inputs=inputs) as stage:
        if not stage.done:
            corpus = run.collection
            stage.work.rmdir()  # an index wants its folder for itself, and goes on by itself
            made = Index.build(
                Collection(corpus.name, corpus.documents),
                stage.folder,
                embedder=embedder_named(str(run.ledger.folder / "gate" / MODEL)),
                settings=settings,
                vectors=_base_vectors(run) if _decision(run).weight == 0 else None,
                progress=run.progress,
            )
            stage.counts["documents"] = len(made)
    run.digests["index"] = stage.digest
    run.told("index", stage.counts, f"{stage.counts['documents']:,} documents")


def evaluate(run: RecipeRun) -> None:
    """Measure base, result, BM25 and hybrids on the test, and on other collections."""
    test = run.recipe.test
    if test is None:
        return
    inputs = {
        "index": run.digests["index"],
        "test": {**run.recipe.placed_apart(asdict(test)), "queries": run.mark(test.split)},
        "also": [mark_of(Collection.read(name)) for name in test.also],
        "evaluate": asdict(run.recipe.evaluate),
    }
    with run.ledger.stage("evaluate", inputs=inputs) as stage:
        if not stage.done:
            results = on_collections(run, stage)
            record = json.dumps([asdict(one) for one in results], indent=1)
            (stage.folder / RESULTS).write_text(record)
            stage.counts["collections"] = len(results)
    run.digests["evaluate"] = stage.digest
    measure = run.recipe.evaluate.measures[0]
    for one in read_results(stage.folder / RESULTS):
        rows = {row.system: row.values[measure].value for row in one.rows}
        shown = ", ".join(f"{system} {value:.4f}" for system, value in rows.items())
        run.told("evaluate", stage.counts, f"{one.collection} {measure}: {shown}")


def model(run: RecipeRun) -> None:
    """Put the model that goes out into a folder with its card."""
    inputs: dict[str, Any] = {
        name: run.digests[name]
        for name in ("gate", "evaluate", "saturation", "mine", "filter")
        if name in run.digests
    }
    with run.ledger.stage("model", inputs=inputs) as stage:
        if not stage.done:
            _linked(run.ledger.folder / "gate" / MODEL, stage.folder)
            picture = run.ledger.folder / "saturation" / PICTURE
            if picture.exists():
                shutil.copyfile(picture, stage.folder / PICTURE)
            (stage.folder / CARD).unlink(missing_ok=True)  # the base's own, perhaps a link
            results = run.ledger.folder / "evaluate" / RESULTS
            tests = tuple(read_results(results)) if results.exists() else ()
            facts = facts_of(run, decision=_decision(run), tests=tests)
            (stage.folder / CARD).write_text(model_card(facts))
    run.told("model", stage.counts, f"{stage.folder} and its card, {stage.folder / CARD}")


def _decision(run: RecipeRun) -> Decision:
    path = run.ledger.folder / "gate" / DECISION
    return Decision.recorded(orjson.loads(path.read_bytes()))


def _base_vectors(run: RecipeRun) -> Path:
    """The store of the base's vectors, which are those of a model that is the base."""
    return Path(run.recipe.vectors or run.ledger.folder / "base" / "index" / "vectors")


def _linked(source: Path, target: Path) -> None:
    """The same files in another folder, without taking the disk twice where that can be done."""
    for path in sorted(source.rglob("*")):
        here = target / path.relative_to(source)
        try:
            if path.is_dir():
                here.mkdir(exist_ok=True)
            else:
                here.unlink(missing_ok=True)
                try:
                    os.link(path, here)
                except OSError:  # a file system without links
                    shutil.copyfile(path, here)
        except OSError as error:
            raise OutputError(f"{here} cannot be written: {error.strerror}") from None
