"""Where the files lie that a recipe names: taken from the folder in which it stands itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.known_models import MODELS
from llmaug.retrieval.catalogues import PREFIXES
from llmaug.training.recipe_sections import FUSION
from llmaug.vocabulary import parse

if TYPE_CHECKING:
    from llmaug.training.recipe_file import Recipe


def placed(recipe: Recipe) -> Recipe:
    """The recipe with every path taken from its folder, and plans in their usual spelling."""
    folder = recipe.folder

    def beside(name: str) -> str:
        return str(folder / Path(name).expanduser())

    def collection(name: str) -> str:
        return name if name.startswith(PREFIXES) else beside(name)

    def model(name: str) -> str:
        """A folder that is there, else a short name or one on a hub."""
        here = name not in MODELS and Path(beside(name)).exists()
        return beside(name) if here or name.startswith((".", "~")) else name

    generate, test, mine = recipe.generate, recipe.test, recipe.mine
    if generate and generate.pairs:
        generate = replace(generate, pairs=beside(generate.pairs))
    if generate and generate.plan:
        generate = replace(generate, plan=str(parse(generate.plan)))
    if generate and generate.lm:
        kind, colon, name = generate.lm.partition(":")
        generate = replace(generate, lm=f"{kind}{colon}{model(name) if name else name}")
    if test:
        test = replace(test, also=tuple(map(collection, test.also)))
    if mine and mine.teacher and mine.teacher != FUSION:
        mine = replace(mine, teacher=model(mine.teacher))
    plan = recipe.filter.plan and str(parse(recipe.filter.plan))
    return replace(
        recipe,
        filter=replace(recipe.filter, plan=plan),
        corpus=collection(recipe.corpus),
        model=model(recipe.model),
        output=beside(recipe.output),
        vectors=recipe.vectors and beside(recipe.vectors),
        generate=generate,
        test=test,
        mine=mine,
    )


def relative(value: Any, folder: Path) -> Any:
    """A JSON value in which paths below the folder, also in KIND:PATH and plans, start there."""
    if isinstance(value, Mapping):
        return {relative(name, folder): relative(one, folder) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [relative(one, folder) for one in value]
    if not isinstance(value, str) or folder == folder.parent:
        return value
    value = value.removeprefix(f"{folder}/")
    for before in (":", "'", '"'):
        value = value.replace(f"{before}{folder}/", before)
    return value
