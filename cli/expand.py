"""`llmaug expand`: queries into expansions, kept with what made them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmaug.errors import OutputError, PlanError

if TYPE_CHECKING:
    from llmaug.retrieval.expansions import Expansions

Option = typer.Option
READ_BACK = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")  # what read_expansions can read


def expand(
    queries: Annotated[
        str,
        typer.Argument(help="file of queries: BEIR folder, JSONL, TSV, CSV, TREC topics, text"),
    ],
    plan: Annotated[
        str, typer.Argument(help="how, e.g. 'hyde(n=2)' or 'query2doc()', or @FILE that says it")
    ],
    output: Annotated[
        Path, Option("--output", "-o", help="file for the expansions, one a row: expanded.jsonl")
    ],
    lm: Annotated[
        str | None, Option(help="the language model, e.g. transformers:smollm2-135m, chat:MODEL")
    ] = None,
    judge: Annotated[str | None, Option(help="the model of steps with role='judge'")] = None,
    base_url: Annotated[str | None, Option(help="address of the server for chat:MODEL")] = None,
    lm_option: Annotated[
        list[str] | None, Option(help="KEY=VALUE for the language model; again for more")
    ] = None,
    embedder: Annotated[str | None, Option(help="model for similar(): minilm, or a folder")] = None,
    index: Annotated[
        Path | None, Option(help="index that lamer(), csqe() and others read passages from")
    ] = None,
    embedder_url: Annotated[
        str | None, Option(help="where the server of the index's embedder is now")
    ] = None,
    cache: Annotated[
        Path | None,
        Option(help="file of replies to reuse and add to (default: in the run directory)"),
    ] = None,
    seed: Annotated[int, Option(help="decides every random choice")] = 0,
    window: Annotated[int | None, Option(min=1, help="requests in flight at most")] = None,
    limit: Annotated[int | None, Option(min=1, help="only the first N queries")] = None,
    topics: Annotated[
        Path | None, Option(help="also write expanded queries as Pyserini topics: topics.tsv")
    ] = None,
    combine: Annotated[
        str | None, Option(help="how topics join query and expansions [default: concat(repeat=1)]")
    ] = None,
    patience: Annotated[float, Option(help="seconds without any reply before giving up")] = 600.0,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="show the first prompts and the number of requests, send nothing"),
    ] = False,
    fresh: Annotated[bool, Option("--fresh", help="start anew; paid replies are kept")] = False,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="run the queries that failed")
    ] = False,
) -> None:
    """Write expansions of queries with a language model, for `llmaug search --expansions`.

    A row holds the expansion (`text`), its query (`root`, `query`), what made it and of which
    `plan` and `model`. Killed at any moment, the same command goes on where it stopped.

    Example: `llmaug expand scifact 'query2doc()' -o expanded.jsonl --lm chat:qwen3-8b
    --base-url http://127.0.0.1:8000/v1`
    """
    from llmaug import batch
    from llmaug import plan as plans
    from llmaug.cli.language_models import language_models
    from llmaug.cli.progress import Progress, closing_lines
    from llmaug.job import Job
    from llmaug.notation import plan_file
    from llmaug.retrieval.query_file import QueryFile
    from llmaug.vocabulary import parse

    step = parse(plan_file(plan[1:]) if plan.startswith("@") else plan)
    _check_outputs(output, topics=topics, combine=combine, read=[queries, cache])
    for one in plans.walk(step):
        if index is None and "index" in one.uses:
            raise PlanError(f"{one} needs an index; give one with --index")
    models = language_models(lm, judge, base_url=base_url, lm_option=lm_option)
    names = {"plan": str(step), "model": ", ".join(model.name for model in models.values())}
    source = QueryFile(queries, also=names)
    if dry_run:
        from llmaug.cli.dry_run import show_requests

        show_requests(step, source, seed=seed, limit=limit, models=models)
        return
    if embedder is not None:
        from llmaug.embedders.embed import embedder as embedder_named
    if index is not None:
        from llmaug.retrieval.index import Index
    job = Job(
        step,
        source,
        output,
        models,
        seed=seed,
        limit=limit,
        embedder=None if embedder is None else embedder_named(embedder),
        index=None if index is None else Index.open(index, base_url=embedder_url),
    )
    with Progress(job) as shown:
        summary = batch.augment_file(
            job,
            cache=cache,
            window=window,
            fresh=fresh,
            retry_failed=retry_failed,
            progress=shown.update,
            notice=shown.notice,
            patience=patience,
        )
    for line in closing_lines(summary, shown_output=str(output)):
        print(line, file=sys.stderr)
    if summary.interrupted:
        print("to go on, run the same command again, without --fresh", file=sys.stderr)
        raise typer.Exit(130)
    asked = dict(list(source.queries.items())[:limit])
    written = _written(output)
    _tell(asked, written, output)
    if topics is not None:
        from llmaug.retrieval.topics import write_topics

        lines = write_topics(topics, asked, written, combine=combine or "concat()")
        print(f"written: {topics}, {lines:,} topics", file=sys.stderr)
    if summary.failed:
        raise typer.Exit(1)


def _check_outputs(
    output: Path,
    *,
    topics: Path | None,
    combine: str | None,
    read: Sequence[str | Path | None],
) -> None:
    """Raise what would go wrong at the end, before anything is paid for."""
    from llmaug.formats.endings import ending
    from llmaug.retrieval.topics import check_topics, text_of

    if str(output) == "-":
        raise OutputError("a run that can go on is kept beside its output; name a file: -o X.jsonl")
    if ending(output) not in READ_BACK:
        raise OutputError(f"{output}: expansions are written as {', '.join(READ_BACK)}")
    if combine is not None:
        if topics is None:
            raise PlanError("--combine says how --topics are written; name a file for them")
        text_of(combine)
    if topics is not None:
        if topics.resolve() == output.resolve():
            raise OutputError(f"{topics} is the output too; name another file for the topics")
        for other in read:
            if other and topics.resolve() == Path(other).resolve():
                raise OutputError(f"the topics would replace {other}; name another file for them")
        check_topics(topics)


def _written(output: Path) -> Expansions:
    """What the run wrote; a file without rows holds no expansion of any query."""
    from llmaug.formats import endings
    from llmaug.retrieval.expansions import read_expansions

    empty = next(iter(endings.source(output).rows()), None) is None
    return {} if empty else read_expansions(output)


def _tell(asked: dict[str, str], written: Expansions, output: Path) -> None:
    from llmaug.retrieval.expansions import without_expansion

    bare = len(without_expansion(asked, written))
    print(
        f"{len(asked) - bare:,} of {len(asked):,} queries have an expansion"
        + (f", {bare:,} have no usable one and are searched as they are" if bare else ""),
        file=sys.stderr,
    )
    print(f"next: llmaug search DIR QUERIES -o run.trec --expansions {output}", file=sys.stderr)
