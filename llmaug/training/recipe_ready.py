"""What has to be there before a recipe begins, so that nothing is paid for in vain."""

from __future__ import annotations

from pathlib import Path

from llmaug.errors import PlanError
from llmaug.retrieval.collection import Collection
from llmaug.steps.relevance import check_folder
from llmaug.training.recipe_file import Recipe
from llmaug.training.recipe_run import judged, trainable, unjudged
from llmaug.training.recipe_sections import FUSION
from llmaug.training.stage_queries import checksum
from llmaug.training.train import check_trainable, needs_check


def check_ready(recipe: Recipe, *, fetch: bool = True) -> None:
    """Raise the error of the first thing that is not there: corpus, split, model, teacher, pairs.

    Reads queries and judgements, not the documents. A model is looked for on a hub only with
    `fetch`, and loaded only where not every model can be trained as the recipe says.
    """
    unjudged(recipe.corpus)
    sections = (recipe.human, recipe.dev, recipe.test)
    for split in dict.fromkeys(one.split for one in sections if one and one.split):
        judged(recipe.corpus, split=split)
    for name in recipe.test.also if recipe.test else ():
        if not Collection.read(name).judged_queries:
            raise PlanError(
                f"{name} has no judged queries to measure on; leave it out of test.also"
            )
    on_hub = "/" in recipe.model and not Path(recipe.model).is_absolute()
    if fetch or not on_hub:
        base = trainable(recipe.model)
        if needs_check(recipe.train):
            check_trainable(base.folder, recipe.train)
    if recipe.teacher is not None and recipe.teacher != FUSION:
        check_folder(Path(recipe.teacher))
    generate = recipe.generate
    if generate is not None and generate.pairs is not None:
        checksum(Path(generate.pairs))
