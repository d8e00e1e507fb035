"""`llmaug show`: what a plan can be made of, and what an index is."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from llmaug.errors import LlmaugError, did_you_mean

WHAT = ("methods", "steps", "prompts", "backends", "prompt", "index")


def show(
    what: Annotated[str, typer.Argument(help=", ".join(WHAT))],
    name: Annotated[
        str, typer.Argument(help="with `prompt`: which one; with `index`: its folder")
    ] = "",
) -> None:
    """List methods, steps, prompts or backends, print one prompt file, or say what an index is.

    Example: `llmaug show prompt paraphrase`, `llmaug show index scifact.index`
    """
    if what not in WHAT:
        raise LlmaugError(f"nothing to show called {what!r}; {did_you_mean(what, WHAT)}")
    if what == "prompt":
        _prompt(name)
    elif what == "index":
        _index(name)
    elif what == "prompts":
        _prompts()
    elif what == "backends":
        from llmaug.backends import KINDS

        for line in KINDS.values():
            print(line)
    else:
        _callables(what)


def _prompt(name: str) -> None:
    from llmaug import prompt

    loaded = prompt.load(name) if name else None
    if loaded is None:
        raise LlmaugError(f"which prompt? one of {', '.join(prompt.shipped())}")
    print(f"# {loaded.path}  fingerprint {loaded.fingerprint}\n{loaded.text.strip()}")


def _index(name: str) -> None:
    from llmaug.cli.index_account import described
    from llmaug.retrieval.index import Index

    if not name:
        raise LlmaugError("which index? name its folder: llmaug show index DIR")
    for line in described(Index.open(name)):
        print(line)


def _prompts() -> None:
    from rich.console import Console
    from rich.table import Table

    from llmaug import prompt

    table = Table(box=None, pad_edge=False)
    for column in ("prompt", "inputs", "output", "fingerprint", "what it does"):
        table.add_column(column, overflow="fold")
    for name in prompt.shipped():
        loaded = prompt.load(name)
        table.add_row(
            name, ", ".join(loaded.inputs), loaded.output, loaded.fingerprint, loaded.description
        )
    Console().print(table)


def _callables(what: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from llmaug.vocabulary import METHODS, STEPS

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold", no_wrap=False)
    table.add_column(overflow="fold")
    for name, make in (METHODS if what == "methods" else STEPS).items():
        parameters = ", ".join(
            p.name if p.default is p.empty else f"{p.name}={_default(make, p)}"
            for p in inspect.signature(make).parameters.values()
        )
        table.add_row(f"{name}({parameters})", (inspect.getdoc(make) or "").split("\n\n")[0])
    Console().print(table)


def _default(make: object, parameter: inspect.Parameter) -> str:
    text = repr(parameter.default)
    return "{}" if "factory" in text else text
