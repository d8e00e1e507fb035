"""The command line: a table of commands, one module each."""

from __future__ import annotations

import errno
import os
import sys

import typer

from llmaug.cli import (
    augment,
    classify,
    demo,
    doctor,
    evaluate,
    expand,
    gate,
    index,
    models,
    search,
    show,
    train,
    tta,
)
from llmaug.errors import LlmaugError

app = typer.Typer(
    name="llmaug",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="LLM-driven text and query augmentation, with proof of whether it helped.",
)
app.command("augment")(augment.augment)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("expand")(expand.expand)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(gate.app, name="gate")
app.add_typer(classify.app, name="classify")
app.add_typer(tta.app, name="tta")
app.command("train")(train.train)
app.command("show")(show.show)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(models.app, name="models")


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        from llmaug import __version__

        print(f"llmaug {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit status 2."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except LlmaugError as error:
        if debug:
            raise
        for line in (f"llmaug: {error}", *getattr(error, "__notes__", ())):
            print(line, file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader has gone; nothing is left to say to it, also not when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        if error.errno == errno.ENOSPC:
            said = "disk full; free space and run the same command again"
        else:
            where = f"{error.filename}: " if error.filename else ""
            said = f"{where}{error.strerror or error}"
        print(f"llmaug: {said}", file=sys.stderr)
        sys.exit(2)
