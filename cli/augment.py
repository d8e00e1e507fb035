"""`llmaug augment`: the main job."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmaug.errors import LlmaugError, PlanError

if TYPE_CHECKING:
    from llmaug.request import Classifier, Embedder

Option = typer.Option


def augment(
    plan: Annotated[
        str,
        typer.Argument(help="what to do, e.g. 'keep() + paraphrase(n=4)', or @FILE that says it"),
    ],
    input: Annotated[str, typer.Argument(help="a file or folder of texts; - for stdin")],
    output: Annotated[
        str, Option("--output", "-o", help="where to; the ending says the format; - for stdout")
    ],
    lm: Annotated[
        str | None, Option(help="the language model, e.g. transformers:smollm2-135m, chat:MODEL")
    ] = None,
    judge: Annotated[str | None, Option(help="the model of steps with role='judge'")] = None,
    base_url: Annotated[str | None, Option(help="address of the server for chat:MODEL")] = None,
    lm_option: Annotated[
        list[str] | None,
        Option(help="KEY=VALUE for the language model, e.g. device=cuda or extra_body={…}; again"),
    ] = None,
    text: Annotated[str | None, Option(help="field that holds the text")] = None,
    id: Annotated[str | None, Option(help="field that holds the id")] = None,
    embedder: Annotated[
        str | None, Option(help="model for similar(): minilm, a folder, served:MODEL")
    ] = None,
    embedder_url: Annotated[
        str | None,
        Option(help="address of the server, where --embedder or --index has a served one"),
    ] = None,
    index: Annotated[
        Path | None, Option(help="index for roundtrip() and passages(), made by llmaug index")
    ] = None,
    classifier: Annotated[
        Path | None,
        Option(help="folder for keeps_label(): of llmaug classify train, or of transformers"),
    ] = None,
    cache: Annotated[
        Path | None,
        Option(help="file of replies to reuse and add to (default: in the run directory)"),
    ] = None,
    seed: Annotated[int, Option(help="decides every random choice")] = 0,
    window: Annotated[int | None, Option(min=1, help="requests in flight at most")] = None,
    limit: Annotated[int | None, Option(min=1, help="only the first N rows")] = None,
    record: Annotated[
        Path | None, Option(help="add every request and reply to this file, for --lm replay:FILE")
    ] = None,
    patience: Annotated[float, Option(help="seconds without any reply before giving up")] = 600.0,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="show the first prompts and the number of requests, send nothing"),
    ] = False,
    fresh: Annotated[bool, Option("--fresh", help="start anew; paid replies are kept")] = False,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="run the rows that failed")
    ] = False,
    strict: Annotated[
        bool, Option("--strict", help="stop at the first row that cannot be read")
    ] = False,
) -> None:
    """Make new texts from every text of a file, and lose none.

    Killed at any moment, the same command goes on where it stopped. The run is kept beside the
    output in OUT.run.

    Example: `llmaug augment 'keep() + paraphrase(n=4) >> dedupe()' reviews.csv --text body
    -o more.jsonl --lm transformers:smollm2-135m`
    """
    from llmaug import batch
    from llmaug.cli.language_models import language_models
    from llmaug.cli.progress import Progress, closing_lines
    from llmaug.job import Job
    from llmaug.notation import plan_file
    from llmaug.text import read
    from llmaug.vocabulary import parse

    step = parse(plan_file(plan[1:]) if plan.startswith("@") else plan)
    with tempfile.TemporaryDirectory(prefix="llmaug-") as scratch:
        source = read(_spooled(scratch, text) if input == "-" else input, text=text, id=id)
        target = _kept_for_stdout(plan, input) if output == "-" else Path(output)
        models = language_models(lm, judge, base_url=base_url, lm_option=lm_option)
        labels = _classifier(classifier)
        if dry_run:
            from llmaug.cli.dry_run import show_requests

            if labels is not None:
                print(f"classifier: {labels.name}@{labels.fingerprint}")
            show_requests(step, source, seed=seed, limit=limit, models=models)
            return
        if record is not None:
            from llmaug.backends.replay import RecordingBackend

            models = {role: RecordingBackend(model, record) for role, model in models.items()}
        encoder = _embedder(embedder, embedder_url, index=index)
        if index is not None:
            from llmaug.retrieval.index import Index

            searched = Index.open(index, base_url=embedder_url)
        else:
            searched = None
        job = Job(
            step,
            source,
            target,
            models,
            seed=seed,
            limit=limit,
            embedder=encoder,
            classifier=labels,
            index=searched,
        )
        with Progress(job) as shown:
            summary = batch.augment_file(
                job,
                cache=cache,
                window=window,
                fresh=fresh,
                retry_failed=retry_failed,
                strict=strict,
                progress=shown.update,
                notice=shown.notice,
                patience=patience,
            )
        if output == "-" and not summary.interrupted:
            with target.open("rb") as made:
                shutil.copyfileobj(made, sys.stdout.buffer)
            sys.stdout.flush()
            target.unlink()
            if not summary.failed:
                shutil.rmtree(summary.run)
        for line in closing_lines(summary, shown_output=output):
            print(line, file=sys.stderr)
    if summary.interrupted:
        print(f"to go on: {_command()}", file=sys.stderr)
        raise typer.Exit(130)
    if summary.failed:
        raise typer.Exit(1)


def _command() -> str:
    """The command that continues this run: the same one, which must not start anew."""
    words = [word for word in sys.argv[1:] if word not in ("--fresh", "--retry-failed")]
    return "llmaug " + shlex.join(words)


def _embedder(name: str | None, base_url: str | None, *, index: Path | None) -> Embedder | None:
    """The embedder of --embedder; --embedder-url may also be for that of an index."""
    served = name is not None and name.startswith(("served:", "openai:"))
    if base_url is not None and not served and index is None:
        raise PlanError("--embedder-url is for --embedder served:MODEL or --index")
    if name is None:
        return None
    from llmaug.embedders.embed import embedder

    return embedder(name, base_url=base_url if served else None)


def _classifier(folder: Path | None) -> Classifier | None:
    if folder is None:
        return None
    from llmaug.classify.classifiers import classifier

    return classifier(folder)


def _kept_for_stdout(plan: str, input: str) -> Path:
    """Where a run that goes to standard output is kept, so that it too can be resumed."""
    mark = hashlib.sha256(f"{plan}\n{input}".encode()).hexdigest()[:8]
    return Path(f"llmaug-stdout-{mark}.jsonl")


def _spooled(scratch: str, text: str | None) -> Path:
    """Standard input as a file, so that it can be read twice.

    JSONL when it looks like it, CSV or TSV when the first line names the text's field.
    """
    first = sys.stdin.buffer.readline()
    if not first:
        raise LlmaugError("nothing came on standard input")
    header, field = first.decode("utf-8-sig", "replace").strip(), text or "text"
    ending = "txt"
    if header.startswith("{"):
        ending = "jsonl"
    else:
        for separator, name in ((",", "csv"), ("\t", "tsv")):
            if separator in header and field in header.replace('"', "").split(separator):
                ending = name
    path = Path(scratch) / f"stdin.{ending}"
    with path.open("wb") as spool:
        spool.write(first)
        shutil.copyfileobj(sys.stdin.buffer, spool)
    return path
