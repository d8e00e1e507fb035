"""`llmaug train`: from a corpus to a better retriever, or the one that was there."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from llmaug.errors import OutputError

Option = typer.Option


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file that says corpus, model and stages")],
    output: Annotated[
        Path | None, Option("--output", "-o", help="folder of artefacts, instead of the recipe's")
    ] = None,
    fresh: Annotated[bool, Option("--fresh", help="throw all stages away and begin anew")] = False,
    fresh_from: Annotated[
        str | None, Option(help="throw this stage and those behind it away: mine, train, gate, …")
    ] = None,
    until: Annotated[str | None, Option(help="stop behind this stage")] = None,
    gate: Annotated[
        bool, Option("--gate/--no-gate", help="return the base where tuning did not help")
    ] = True,
    allow_leakage: Annotated[
        bool, Option("--allow-leakage", help="train on queries that are too close to the test")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="check the recipe, say what it does, do nothing")
    ] = False,
) -> None:
    """Write queries for a corpus, filter them, mine negatives, train, and keep what is better.

    The stages are base, generate, filter, mine, train, saturation, gate, index, evaluate, model;
    the recipe says which. Killed at any moment, the same command goes on where it stopped. The
    model in OUTPUT/model is better than the base on the dev queries by more than luck, or it is
    the base (with --no-gate it is what was tuned); its README.md has every number.

    Example: `llmaug train recipe.yaml`
    """
    from llmaug.cli.stages import Stages
    from llmaug.training.recipe import run_recipe
    from llmaug.training.recipe_file import read_recipe
    from llmaug.training.recipe_outline import outline
    from llmaug.training.recipe_ready import check_ready

    asked = read_recipe(recipe)
    if output is not None:
        asked = dataclasses.replace(asked, output=str(output.absolute()))
    if not gate:
        asked = dataclasses.replace(asked, gate=None)
    if not Path(asked.output).parent.is_dir():
        raise OutputError(
            f"the folder {Path(asked.output).parent} does not exist; make it first, or name "
            "another output"
        )
    if dry_run:
        check_ready(asked, fetch=False)
        for line in outline(asked):
            print(line)
        return
    began = time.monotonic()
    try:
        with Stages() as shown:
            result = run_recipe(
                asked,
                fresh=fresh,
                fresh_from=fresh_from,
                until=until,
                allow_leakage=allow_leakage,
                progress=shown.update,
                said=shown.say,
            )
    except KeyboardInterrupt:
        print(
            f"interrupted; the same command goes on with what {asked.output} holds",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    done = f"{time.monotonic() - began:.1f} s; artefacts in {result.folder}"
    print(f"{done}, the model in {result.model}" if result.model else done, file=sys.stderr)
