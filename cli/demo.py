"""`llmaug demo`: the main job on a small corpus that comes with the package."""

from __future__ import annotations

import importlib.resources
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from llmaug.batch import Summary
    from llmaug.request import Backend, Embedder

REVIEWS = "keep() + paraphrase(n=2, max_tokens=80) >> similar(min=0.5) >> dedupe()"
HELP = "doc2query() >> similar(min=0.3) >> dedupe()"


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")] = Path(
        "demo-out"
    ),
    lm: Annotated[str, typer.Option(help="the language model")] = "transformers:smollm2-135m",
    base_url: Annotated[
        str | None, typer.Option(help="address of the server for chat:MODEL")
    ] = None,
) -> None:
    """Paraphrase 60 reviews and write questions for 60 help pages, here and now, without a GPU.

    Example: `llmaug demo`, or with a better model
    `llmaug demo --lm chat:qwen3-8b --base-url http://127.0.0.1:8000/v1`
    """
    from rich.console import Console

    from llmaug import backends, models
    from llmaug.embedders.embed import embedder

    console = Console()
    for name in ("smollm2-135m", "minilm"):
        if name == "minilm" or lm.endswith(":smollm2-135m"):
            models.pull(name)
    output.mkdir(parents=True, exist_ok=True)
    corpus = Path(str(importlib.resources.files("llmaug.demo")))
    options = {"base_url": base_url} if base_url else {}
    encoder = embedder("minilm")
    for title, plan, source, target in (
        ("Reviews, paraphrased", REVIEWS, corpus / "reviews.jsonl", output / "reviews.jsonl"),
        (
            "Help pages, with questions",
            HELP,
            corpus / "help" / "corpus.jsonl",
            output / "questions.jsonl",
        ),
    ):
        console.rule(title)
        console.print(
            f"llmaug augment '{plan}' {source.name} -o {target} --lm {lm} --embedder minilm",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        summary = _augment(plan, source, target, backends.backend(lm, **options), encoder, console)
        if summary.interrupted:
            console.print("to go on: run the same command again")
            raise typer.Exit(130)
    if lm.endswith(":smollm2-135m"):
        console.print(
            "\nSmolLM2-135M is tiny: it shows that everything runs, not how good "
            "rewrites are. With a better model, the same commands do the same job:\n"
            "  llmaug demo --lm chat:MODEL --base-url http://127.0.0.1:8000/v1",
            markup=False,
            highlight=False,
        )


def _augment(
    plan: str, source: Path, target: Path, model: Backend, encoder: Embedder, console: Console
) -> Summary:
    from rich.table import Table

    from llmaug import batch
    from llmaug.cli.progress import Progress, closing_lines
    from llmaug.job import Job
    from llmaug.text import read
    from llmaug.vocabulary import parse

    texts = read(source)
    job = Job(parse(plan), texts, target, {"lm": model}, embedder=encoder)
    with Progress(job) as shown:
        summary = batch.augment_file(job, progress=shown.update, notice=shown.notice)
    if summary.interrupted:
        return summary
    table = Table(show_lines=True)
    table.add_column("before")
    table.add_column("after")
    table.add_column("similarity", justify="right")
    made = [text for text in read(target) if text.meta["made_by"]]
    before = {text.id: text.text for text in texts}
    for root, variants in itertools.islice(
        itertools.groupby(made, key=lambda text: str(text.meta["root"])), 4
    ):
        for variant in variants:
            table.add_row(
                _short(before[root]),
                _short(variant.text),
                f"{variant.meta.get('similarity', 0):.2f}",
            )
            break
    console.print(table)
    drops = Table("dropped because", "variants", box=None)
    for reason, count in summary.tally.drops.most_common():
        drops.add_row(reason, str(count))
    if summary.tally.drops:
        console.print(drops)
    for line in closing_lines(summary, shown_output=str(target)):
        console.print(line, markup=False, highlight=False)
    return summary


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:159] + "…"
