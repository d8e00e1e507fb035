"""The stages that index the corpus with the model as it is, and write queries for documents."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from llmaug import text as texts
from llmaug.backends import backend
from llmaug.batch import Summary, augment_file
from llmaug.errors import TextError
from llmaug.formats.atomic import new_file
from llmaug.job import Job
from llmaug.plan import Step, fingerprints, walk
from llmaug.request import Backend
from llmaug.retrieval.collection import contents
from llmaug.text import Text
from llmaug.training.from_run import pairs_from_variants
from llmaug.training.leakage import without_test_documents
from llmaug.training.ledger import Stage
from llmaug.training.pairs import Pair, read_pairs, write_pairs
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.recipe_sections import Generate
from llmaug.training.run_verdicts import Cuts, cuts, drops, verdicts
from llmaug.training.screening import Screened, screened
from llmaug.vocabulary import parse

PAIRS, SOURCES, VARIANTS, REPLIES = "pairs.jsonl", "sources.jsonl", "variants.jsonl", "replies"


def base(run: RecipeRun) -> None:
    """Index the corpus with the model as it is."""
    documents = len(run.base_index)
    run.told("base", {"documents": documents}, f"{documents:,} documents under {run.base.name}")


def generate(run: RecipeRun) -> None:
    """Write queries for documents, or take those written earlier."""
    section = run.recipe.generate
    if section is None:
        return
    what = run.recipe.placed_apart(_mark(section))
    inputs = {"base": run.digests["base"], "generate": what, "seed": run.recipe.seed}
    with run.ledger.stage("generate", inputs=inputs) as stage:
        if not stage.done:
            if section.pairs is not None:
                pairs = _written(Path(section.pairs))
            else:
                pairs = _generated(run, section, stage)
            stage.counts["queries"] = write_pairs(stage.folder / PAIRS, pairs)
    run.digests["generate"] = stage.digest
    cut = Cuts(**stage.counts["cut"]) if "cut" in stage.counts else None
    line = f"{stage.counts['queries']:,} queries" + (f"; {cut}" if cut and cut.cut else "")
    run.told("generate", stage.counts, line)


def _mark(section: Generate) -> dict[str, Any]:
    """What decides the queries: not how fast and where a model is asked."""
    if section.pairs is not None:
        return {"pairs": checksum(Path(section.pairs))}
    what = asdict(section) | {"reads": reads(section.plan)}
    for role, asked in language_model(section).items():
        told = {name: one for name, one in asked.parameters.items() if name != "endpoint"}
        what[f"{role}_is"] = {"name": asked.name, **told}
    for name in ("window", "base_url"):
        what.pop(name)
    return what


def reads(plan: str | None) -> dict[str, str]:
    """What a plan reads from the disk, such as prompts, examples and weights, with its state."""
    return {} if plan is None else fingerprints(parse(plan))


def passing(run: RecipeRun, pairs: list[Pair], plan: str, *, work: Path) -> Screened:
    """What a plan of filters leaves of queries; their scores become those that it gives.

    A row that fails loses its queries, with the error as the reason.
    """
    work.mkdir(parents=True, exist_ok=True)
    by_document: dict[str, list[str]] = {}
    for pair in pairs:
        by_document.setdefault(pair.document_id, []).append(pair.query)
    stored, sources = work / "stored.jsonl", work / SOURCES
    with new_file(stored) as unfinished, unfinished.open("wb") as out:
        for id, queries in by_document.items():
            out.write(orjson.dumps({"id": id, "variants": queries}) + b"\n")
    _write_sources(sources, (run.base_index.document(id) for id in by_document))
    steps = parse(f"stored({str(stored)!r})") >> parse(plan)
    job = _job(run, steps, sources, output=work / VARIANTS, backends={})
    _finished(run, job, "filter", window=None)
    said = verdicts(job.folder)

    def reason(pair: Pair) -> str:
        asked = (pair.document_id, pair.query)
        if asked in said.scores:
            return ""
        return said.reasons.get(asked) or said.failed.get(pair.document_id, "not in the output")

    passed = screened(pairs, map(reason, pairs))
    kept = []
    for pair in passed.kept:
        score = said.scores[pair.document_id, pair.query]
        kept.append(pair if score is None else replace(pair, score=score))
    return Screened(kept, passed.dropped)


def language_model(section: Generate) -> dict[str, Backend]:
    """Who is asked for queries; raises `BackendError` for a name or an option that is none."""
    options = dict(section.lm_options)
    if section.base_url is not None:
        options["base_url"] = section.base_url
    return {"lm": backend(section.lm, **options)} if section.lm else {}


def _written(path: Path) -> list[Pair]:
    """Pairs, or the output of `llmaug augment`, whichever the file holds."""
    try:
        with path.open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}") from None
    return read_pairs(path) if b'"query_id"' in first else pairs_from_variants(path)


def checksum(path: Path) -> str:
    """The SHA-256 of a file; raises `TextError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}") from None


def _generated(run: RecipeRun, section: Generate, stage: Stage) -> list[Pair]:
    sources = stage.work / SOURCES
    if not sources.exists():
        _write_sources(sources, _drawn(run, section))
    asked = language_model(section)
    plan = parse(section.plan or "")
    job = _job(run, plan, sources, output=stage.work / VARIANTS, backends=asked)
    summary = _finished(run, job, "generate", window=section.window)
    spent = summary.tally.spent
    stage.counts |= {
        "documents": summary.rows,
        "failed": summary.failed,
        "dropped": drops(job.folder),
        "cut": cuts(job.folder)._asdict(),
        "calls": spent.asked,  # of the session that finished
        "cached": spent.cached,
    }
    return pairs_from_variants(job.output)


def _drawn(run: RecipeRun, section: Generate) -> Iterator[Text]:
    """The source documents, drawn so that a larger number of them holds a smaller one."""
    corpus = run.collection
    documents = iter(corpus.documents)
    if run.recipe.test is not None and not section.test_documents:
        documents = without_test_documents(corpus.documents, corpus.qrels)
    filled = (document for document in documents if contents(document))
    if section.documents is None:
        return filled

    seed = run.recipe.seed
    return iter(heapq.nsmallest(section.documents, filled, key=lambda one: place(one.id, seed)))


def place(id: str, seed: int) -> bytes:
    """Where an id stands when ids are drawn one after the other, whatever others there are."""
    return hashlib.blake2b(f"{seed} {id}".encode("utf-8", "surrogatepass")).digest()


def _write_sources(path: Path, documents: Iterator[Text]) -> None:
    """Documents as a plan reads them; one that has a title alone has it for its text."""
    with new_file(path) as unfinished, unfinished.open("wb") as out:
        for one in documents:
            title = str(one.meta.get("title") or "")
            row = {"id": one.id, "text": one.text, "title": title}
            if not one.text.strip():
                row |= {"text": title, "title": ""}
            out.write(orjson.dumps(row) + b"\n")


def _job(
    run: RecipeRun, plan: Step, sources: Path, *, output: Path, backends: dict[str, Backend]
) -> Job:
    uses = {name for step in walk(plan) for name in step.uses}
    return Job(
        plan,
        texts.read(sources, text="text", id="id"),
        output,
        backends=backends,
        seed=run.recipe.seed,
        embedder=run.base if "embedder" in uses else None,
        index=run.base_index if "index" in uses else None,
    )


def _finished(run: RecipeRun, job: Job, stage: str, *, window: int | None) -> Summary:
    """Run a plan to its end; Ctrl-C leaves what is done for the next time.

    Replies are kept beside the stages, so that one thrown away by `fresh_from` costs no call.
    """
    total = job.source.row_estimate()
    summary = augment_file(
        job,
        cache=run.ledger.folder / REPLIES,
        window=window,
        progress=lambda tally, _: run.progress(stage, tally.done + tally.failed, total),
    )
    if summary.interrupted:
        raise KeyboardInterrupt
    return summary
