"""The stage that chooses training pairs, and the queries by which models are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.training.dev_aside import Aside, Deciding, set_aside
from llmaug.training.divergence import FEWEST, different, divergence
from llmaug.training.leakage import (
    answering,
    refuse_leakage,
    without_leaks,
    without_test_documents,
)
from llmaug.training.near_duplicates import without_near_duplicates
from llmaug.training.pairs import Pair, read_pairs, write_pairs
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.screening import (
    Screened,
    at_most,
    require_any,
    screened,
    without_lowest,
    without_repeats,
)
from llmaug.training.stage_queries import PAIRS, passing, reads

DEV = "dev.json"
ON_TEST = "document of the test"


def human_pairs(run: RecipeRun) -> Screened:
    """The human pairs of the recipe, less those that leak the test.

    Raises `RetrievalError` where queries of the test are among them, unless the recipe says to
    drop those or the user allows them.
    """
    human, leakage = run.recipe.human, run.human_leakage
    if human is None or leakage is None or run.allow_leakage:
        return run.human
    if human.leaks == "refuse":
        refuse_leakage(leakage, otherwise="leave them out with human: {leaks: drop}")
    clean = without_leaks(run.human.kept, leakage)
    return Screened(clean.kept, run.human.dropped + clean.dropped)


def screen(run: RecipeRun) -> None:
    """Drop the queries that would not train well, and set dev queries aside."""
    recipe, human = run.recipe, run.recipe.human
    inputs: dict[str, Any] = {
        "base": run.digests["base"],
        "generate": run.digests.get("generate"),
        "filter": recipe.placed_apart(asdict(recipe.filter)),
        "reads": recipe.placed_apart(reads(recipe.filter.plan)),
        "test_documents": recipe.generate and recipe.generate.test_documents,
        "human": human and {**asdict(human), "queries": run.mark(human.split)},
        "dev": recipe.dev and {**asdict(recipe.dev), "queries": run.mark(recipe.dev.split)},
        "test": recipe.test and run.mark(recipe.test.split),
        "allow_leakage": run.allow_leakage,
        "seed": recipe.seed,
    }
    with run.ledger.stage("filter", inputs=inputs) as stage:
        if not stage.done:
            written = human_pairs(run)
            screens = _synthetic(run, stage.work)
            aside = set_aside(run, written.kept, screens[-1].kept if screens else [])
            train = [*aside.human.kept, *aside.synthetic.kept]
            stage.counts |= _lost([written, aside.human], [*screens, aside.synthetic])
            stage.counts |= _counted(run, aside, train)
            write_pairs(stage.folder / PAIRS, train)
            if aside.deciding is not None:
                with new_file(stage.folder / DEV) as unfinished:
                    unfinished.write_bytes(orjson.dumps(asdict(aside.deciding)))
    run.digests["filter"] = stage.digest
    counts = stage.counts
    dev = f", {counts['dev']:,} dev queries" if "dev" in counts else ""
    gate = recipe.gate
    if gate is not None and counts.get("dev", gate.fewest) < gate.fewest:
        dev += f" (the gate asks for {gate.fewest:,}: it will keep the base)"
    run.told(
        "filter",
        counts,
        f"{counts['human']:,} human and {counts['synthetic']:,} synthetic pairs to train on{dev}",
    )


def training_pairs(run: RecipeRun) -> list[Pair]:
    """The pairs that the stage left to train on."""
    return read_pairs(run.ledger.folder / "filter" / PAIRS)


def dev_queries(run: RecipeRun) -> Deciding | None:
    """The dev queries that the stage set aside; None where there are none."""
    path = run.ledger.folder / "filter" / DEV
    return Deciding(**orjson.loads(path.read_bytes())) if path.exists() else None


def _synthetic(run: RecipeRun, work: Path) -> list[Screened]:
    """What each filter leaves of the written queries; raises `RetrievalError` for nothing."""
    recipe, section = run.recipe, run.recipe.filter
    if recipe.generate is None:
        return []
    pairs = read_pairs(run.ledger.folder / "generate" / PAIRS)
    known = set(run.base_index.ids.tolist())
    if lost := [pair for pair in pairs if pair.document_id not in known]:
        raise RetrievalError(
            f"{len(lost):,} of {len(pairs):,} synthetic queries are for documents that "
            f"{recipe.corpus} lacks, the first for {lost[0].document_id!r}; give the queries of "
            "this corpus"
        )
    filters: list[Callable[[list[Pair]], Screened]] = [without_repeats]
    if recipe.test is not None and recipe.generate.pairs and not recipe.generate.test_documents:
        filters.insert(0, lambda pairs: _without_test_documents(run, pairs))
    if section.plan is not None:
        plan = section.plan
        filters.append(lambda pairs: passing(run, pairs, plan, work=work))
    if section.quantile:
        share = section.quantile
        filters.append(lambda pairs: without_lowest(pairs, share=share))
    if section.near is not None:
        most = section.near
        filters.append(lambda pairs: without_near_duplicates(pairs, run.base, max=most))
    if section.per_document is not None:
        count = section.per_document
        filters.append(lambda pairs: at_most(pairs, count))
    if recipe.test is not None:
        filters.append(lambda pairs: without_leaks(pairs, run.leakage(pairs)))
    screens: list[Screened] = []
    for one in filters:
        screens.append(one(pairs))
        pairs = screens[-1].kept
        require_any(*screens)
    return screens


def _without_test_documents(run: RecipeRun, pairs: list[Pair]) -> Screened:
    """Queries from a file, less those for documents that none would be written for."""
    corpus = run.collection
    rest = {one.id for one in without_test_documents(corpus.documents, corpus.qrels)}
    return screened(pairs, ("" if pair.document_id in rest else ON_TEST for pair in pairs))


def _lost(human: list[Screened], synthetic: list[Screened]) -> dict[str, Any]:
    """How many queries were written, and what was dropped of each origin, by reason."""
    counts: dict[str, Any] = {}
    for name, screens in (("human_dropped", human), ("dropped", synthetic)):
        lost = sum((Counter(one.counts) for one in screens), Counter[str]())
        counts[name] = dict(lost.most_common())
    first = synthetic[0]
    return counts | {"written": len(first.kept) + len(first.dropped)}


def _counted(run: RecipeRun, aside: Aside, train: list[Pair]) -> dict[str, Any]:
    by_origin = Counter(pair.origin for pair in train)
    counts: dict[str, Any] = {name: by_origin[name] for name in ("human", "synthetic")}
    if aside.deciding is not None:
        counts["dev"] = len(aside.deciding.queries)
        counts["dev_leaking"] = aside.leaking
    if run.human_leakage is not None:  # the synthetic queries have none left
        there = {(pair.query_id, pair.query) for pair in train}
        left = [leak.way for leak in run.human_leakage.leaks if leak[:2] in there]
        answers = answering(run.collection.qrels)
        counts["leakage"] = dict(Counter(left))
        counts["on_test_documents"] = sum(pair.document_id in answers for pair in train)
    texts = {
        origin: [pair.query for pair in train if pair.origin == origin] for origin in by_origin
    }
    if len(texts) == 2 and min(len(different(one)) for one in texts.values()) >= FEWEST:
        apart = divergence(texts["human"], texts["synthetic"], run.base, seed=run.recipe.seed)
        counts["divergence"] = {
            "auc": apart.auc,
            "interval": list(apart.interval),
            "lower_bound_tv": apart.lower_bound_tv,
        }
    return counts
