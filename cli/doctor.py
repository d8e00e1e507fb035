"""`llmaug doctor`: what works here, and the line that mends what does not."""

from __future__ import annotations

from typing import Annotated

import typer

STYLE = {"good": "green", "absent": "yellow", "bad": "red"}


def doctor(
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="Also ask this OpenAI-compatible server for its models."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            help="Also load this embedder: minilm, a folder or hub name, served:MODEL.",
        ),
    ] = None,
) -> None:
    """Show what is installed, which models are here, and whether a server answers.

    Ends with status 1 when the server or the embedder that was asked for does not work. The key
    for the server is taken from LLMAUG_API_KEY, else OPENAI_API_KEY.

    Example: llmaug doctor --base-url http://127.0.0.1:8000/v1
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmaug.doctor import examine

    findings = examine(base_url, embedder=embedder)
    table = Table(box=None, pad_edge=False)
    for column in ("", "state", "found", "what to do"):
        table.add_column(column, overflow="fold")
    # Text, because brackets in a path or in a server's answer are not markup.
    for finding in findings:
        table.add_row(
            Text(finding.about),
            Text(finding.state, STYLE[finding.state]),
            Text(finding.found),
            Text(finding.advice),
        )
    Console().print(table)
    asked_for = [f for f in findings if f.about.startswith(("server", "embedder"))]
    if any(finding.state == "bad" for finding in asked_for):
        raise typer.Exit(1)
