"""The stage that chooses training pairs, and the queries by which models are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.retrieval.qrels import Qrels
from llmaug.training.divergence import divergence
from llmaug.training.leakage import answering, refuse_leakage, without_leaks
from llmaug.training.near_duplicates import without_near_duplicates
from llmaug.training.pairs import Pair, read_pairs, write_pairs
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.screening import (
    Screened,
    at_most,
    require_any,
    without_lowest,
    without_repeats,
)
from llmaug.training.splits import qrels_of, queries_of, split_dev
from llmaug.training.stage_queries import PAIRS, passing

DEV = "dev.json"
FEWEST_COMPARED = 20  # queries of each origin below which their divergence says nothing


@dataclass(frozen=True)
class Deciding:
    """The dev queries and their judgements."""

    queries: dict[str, str]
    qrels: Qrels


def human_pairs(run: RecipeRun) -> Screened:
    """The human pairs of the recipe, less those that leak the test.

    Raises `RetrievalError` where queries of the test are among them, unless the recipe says to
    drop those or the user allows them.
    """
    human, leakage = run.recipe.human, run.human_leakage
    if human is None or leakage is None or run.allow_leakage:
        return run.human
    if human.leaks == "refuse":
        refuse_leakage(leakage)
    clean = without_leaks(run.human.kept, leakage)
    return Screened(clean.kept, run.human.dropped + clean.dropped)


def screen(run: RecipeRun) -> None:
    """Drop the queries that would not train well, and set dev queries aside."""
    recipe, human = run.recipe, run.recipe.human
    inputs: dict[str, Any] = {
        "base": run.digests["base"],
        "generate": run.digests.get("generate"),
        "filter": asdict(recipe.filter),
        "human": human and {**asdict(human), "queries": run.mark(human.split)},
        "dev": recipe.dev and {**asdict(recipe.dev), "queries": run.mark(recipe.dev.split)},
        "test": recipe.test and run.mark(recipe.test.split),
        "allow_leakage": run.allow_leakage,
        "seed": recipe.seed,
    }
    with run.ledger.stage("filter", inputs=inputs) as stage:
        if not stage.done:
            written = human_pairs(run)
            synthetic = _synthetic(run, stage.work, stage.counts)
            train, deciding = _set_aside(run, written.kept, synthetic, stage.counts)
            stage.counts |= _counted(run, written, train, deciding)
            write_pairs(stage.folder / PAIRS, train)
            if deciding is not None:
                with new_file(stage.folder / DEV) as unfinished:
                    unfinished.write_bytes(orjson.dumps(asdict(deciding)))
    run.digests["filter"] = stage.digest
    counts = stage.counts
    dev = f", {counts['dev']:,} dev queries" if "dev" in counts else ""
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


def _synthetic(run: RecipeRun, work: Any, counts: dict[str, Any]) -> list[Pair]:
    """What is left of the written queries; raises `RetrievalError` where nothing is."""
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
    counts["written"] = len(screens[0].kept) + len(screens[0].dropped)
    lost_by: Counter[str] = Counter()
    for screen in screens:
        lost_by.update(screen.counts)
    counts["dropped"] = dict(lost_by.most_common())
    return pairs


def _set_aside(
    run: RecipeRun, human: list[Pair], synthetic: list[Pair], counts: dict[str, Any]
) -> tuple[list[Pair], Deciding | None]:
    """The pairs to train on, and the dev queries, none of whose documents is among those."""
    dev = run.recipe.dev
    if dev is None:
        return [*human, *synthetic], None
    if dev.split is not None:
        found = run.split(dev.split)
        chosen = Deciding(dict(found.judged_queries), dict(found.qrels))
        return [*human, *synthetic], chosen
    of = human if dev.of == "human" else synthetic
    parted = split_dev(of, share=dev.share, count=dev.count, seed=run.recipe.seed)
    if dev.of == "synthetic":
        return [*human, *parted.train], Deciding(queries_of(parted.dev), qrels_of(parted.dev))
    answers = {pair.document_id for pair in parted.dev}
    kept = [pair for pair in synthetic if pair.document_id not in answers]
    counts["on_dev_documents"] = len(synthetic) - len(kept)
    return [*parted.train, *kept], Deciding(queries_of(parted.dev), qrels_of(parted.dev))


def _counted(
    run: RecipeRun, human: Screened, train: list[Pair], deciding: Deciding | None
) -> dict[str, Any]:
    by_origin = Counter(pair.origin for pair in train)
    counts: dict[str, Any] = {name: by_origin[name] for name in ("human", "synthetic")}
    counts["human_dropped"] = human.counts
    if deciding is not None:
        counts["dev"] = len(deciding.queries)
    if run.human_leakage is not None:  # the synthetic queries have none left
        there = {(pair.query_id, pair.query) for pair in train}
        left = [leak.way for leak in run.human_leakage.leaks if leak[:2] in there]
        answers = answering(run.collection.qrels)
        counts["leakage"] = dict(Counter(left))
        counts["on_test_documents"] = sum(pair.document_id in answers for pair in train)
    texts = {
        origin: [pair.query for pair in train if pair.origin == origin] for origin in by_origin
    }
    if len(texts) == 2 and min(len({*one}) for one in texts.values()) >= FEWEST_COMPARED:
        apart = divergence(texts["human"], texts["synthetic"], run.base, seed=run.recipe.seed)
        counts["divergence"] = {
            "auc": apart.auc,
            "interval": list(apart.interval),
            "lower_bound_tv": apart.lower_bound_tv,
        }
    return counts
