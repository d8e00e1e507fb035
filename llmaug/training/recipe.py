"""From a corpus to a better retriever: the stages of a recipe, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmaug.errors import PlanError, did_you_mean
from llmaug.retrieval.building import silent
from llmaug.retrieval.dense import Progress
from llmaug.training import (
    stage_filter,
    stage_queries,
    stage_results,
    stage_saturation,
    stage_training,
)
from llmaug.training.ledger import Ledger
from llmaug.training.recipe_file import Recipe
from llmaug.training.recipe_ready import check_ready
from llmaug.training.recipe_run import RecipeRun

# "base" indexes the corpus with the model as it is: filters, mining and dev queries search it.
STAGES: dict[str, Callable[[RecipeRun], None]] = {
    "base": stage_queries.base,
    "generate": stage_queries.generate,
    "filter": stage_filter.screen,
    "mine": stage_training.mine,
    "train": stage_training.train,
    "saturation": stage_saturation.saturation,
    "gate": stage_results.gate,
    "index": stage_results.index,
    "evaluate": stage_results.evaluate,
    "model": stage_results.model,
}


@dataclass(frozen=True)
class RecipeResult:
    """What a recipe came to: the folder of its artefacts, its model, and what each stage counted.

    `model` is None where the recipe was told to stop before it.
    """

    folder: Path
    model: Path | None
    counts: dict[str, dict[str, Any]]


def run_recipe(
    recipe: Recipe,
    *,
    fresh: bool = False,
    fresh_from: str | None = None,
    until: str | None = None,
    allow_leakage: bool = False,
    progress: Progress = silent,
    said: Callable[[str], None] = lambda line: None,
) -> RecipeResult:
    """Carry out a recipe in its folder of artefacts; stages finished earlier are not done again.

    One that was interrupted goes on from where it stopped: queries from the run that writes them,
    negatives from the last complete block, training from the last checkpoint, bit for bit. A
    stage whose inputs differ from those it was begun with is refused (`ResumeRefused`), unless
    `fresh`, or `fresh_from` it or an earlier one, throws it away. `until` names the last stage to
    do. `said` hears a line of what each stage came to.

    Raises `RetrievalError` where queries of the test are among the training queries, unless
    `allow_leakage`; where no query survives the filters; and where training breaks down.
    """
    for name in (until, fresh_from):
        if name is not None and name not in STAGES:
            raise PlanError(f"no stage {name!r}; {did_you_mean(name, STAGES)}")
    if fresh and fresh_from is not None:
        raise PlanError("fresh throws all stages away; leave out fresh, or fresh_from")
    check_ready(recipe)
    with Ledger(recipe.output, recipe.record(), stages=tuple(STAGES)) as ledger:
        run = RecipeRun(recipe, ledger, allow_leakage, progress, said)
        anew = fresh or fresh_from is not None
        # Before anything is lost or paid for.
        if anew or not ledger.finished("filter"):
            stage_filter.human_pairs(run)
        if recipe.generate is not None and (anew or not ledger.finished("generate")):
            stage_queries.language_model(recipe.generate)
        if anew:
            ledger.forget(None if fresh else fresh_from)
        for name, do in STAGES.items():
            do(run)
            if name == until:
                break
    made = ledger.folder / "model"
    return RecipeResult(ledger.folder, made if until in (None, "model") else None, run.counts)
