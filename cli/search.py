"""`llmaug search`: rankings for queries, as a file or on the screen."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmaug.cli import expanded_search as expansion

if TYPE_CHECKING:
    from llmaug.retrieval.index import Index
    from llmaug.retrieval.rankings import Rankings

Option = typer.Option
SHOWN = 10  # hits of one query on the screen


def search(
    folder: Annotated[Path, typer.Argument(help="an index that `llmaug index` made")],
    queries: Annotated[
        str | None,
        typer.Argument(
            help="file (JSONL, TSV, CSV, TREC topics, text), BEIR folder, irds:NAME, hf:NAME"
        ),
    ] = None,
    output: Annotated[
        str | None, Option("--output", "-o", help="file for the rankings in TREC format; - stdout")
    ] = None,
    query: Annotated[
        list[str] | None, Option("--query", "-q", help="a query itself; may be given again")
    ] = None,
    mode: Annotated[
        str | None, Option(help="dense, bm25 or hybrid (default: hybrid where the index has both)")
    ] = None,
    k: Annotated[int | None, Option("-k", min=1, help="documents for each query (100)")] = None,
    fusion: Annotated[
        str | None,
        Option(help="how hybrid combines: convex(weight=0.5, scale='minmax'), … [default: rrf()]"),
    ] = None,
    depth: Annotated[
        int | None, Option(min=1, help="hits of each side that a fusion sees [default: 1000]")
    ] = None,
    embedder: Annotated[
        str | None,
        Option(
            help="where the embedder is now, if not where the index says: a folder, served:MODEL"
        ),
    ] = None,
    embedder_url: Annotated[
        str | None, Option(help="address of the server, where the embedder is a served one")
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …")] = None,
    batch: Annotated[int, Option(min=1, help="queries searched at once")] = 256,
    threads: Annotated[int | None, Option(min=1, help="of FAISS")] = None,
    tag: Annotated[str, Option(help="name of the rankings, the last column")] = "llmaug",
    expand: expansion.Expand = None,
    expansions: expansion.ExpansionsFile = None,
    combine: expansion.Combine = None,
    gate: expansion.Gated = None,
    lm: expansion.Lm = None,
    judge: expansion.Judge = None,
    base_url: expansion.BaseUrl = None,
    lm_option: expansion.LmOption = None,
    cache: expansion.RepliesFile = None,
    seed: expansion.Seed = 0,
    window: expansion.Window = None,
    save_expansions: expansion.SaveExpansions = None,
    explain: expansion.Explain = None,
) -> None:
    """Rank the documents of an index for every query.

    Example: `llmaug search scifact.index scifact/queries.jsonl -o run.trec --mode hybrid`, or
    `llmaug search scifact.index -q "does vitamin D prevent falls"`, or with a language model:
    `llmaug search scifact.index scifact -o run.trec --expand 'query2doc()' --lm chat:qwen3-8b
    --combine 'mix(weight=0.5)' --gate 'learned(gate.json)'`
    """
    from llmaug.cli import search_checks
    from llmaug.cli.evaluation_tables import printable
    from llmaug.cli.stages import Stages
    from llmaug.retrieval.collection import named_queries
    from llmaug.retrieval.fuse import parse_fusion
    from llmaug.retrieval.index import Index
    from llmaug.retrieval.index_reader import DEPTH
    from llmaug.retrieval.search import search as searched

    search_checks.check_asked(queries, query, output, explain=explain)
    search_checks.check_output(
        output, folder, tag=tag, read=[queries, expansions, cache, save_expansions]
    )
    search_checks.check_kept(save_expansions, others=[queries, output, cache, expansions, gate])
    expanding = expansion.asked_for(
        expand=expand,
        expansions=expansions,
        lm=lm,
        judge=judge,
        base_url=base_url,
        lm_option=lm_option,
        combine=combine,
        gate=gate,
        cache=cache,
        seed=seed,
        window=window,
        save_expansions=save_expansions,
        explain=explain,
        output=output,
    )
    fused = parse_fusion(fusion or "rrf()")
    asked = (
        named_queries(queries)
        if queries is not None
        else {f"q{number}": text for number, text in enumerate(query or [], 1)}
    )
    index = Index.open(folder, embedder=embedder, device=device, base_url=embedder_url)
    mode = index.mode(mode)
    search_checks.check_fusion(fusion, depth, mode=mode, expanding=expanding)
    depth = depth or DEPTH
    if mode != "bm25":
        _ = index.embedder  # loaded before the clock starts
    began = time.monotonic()
    if expanding is not None and explain is not None:
        with Stages() as shown:
            told = expanding.explained(
                index, asked, shown=shown, mode=mode, k=k or SHOWN, fusion=fused, depth=depth
            )
        print("\n".join(map(printable, told.split("\n"))))
        expanding.close()
        return
    with Stages() as shown:
        find = searched if expanding is None else partial(expanding.search, shown=shown)
        rankings = find(
            index,
            asked,
            k=k or (100 if output else SHOWN),
            mode=mode,
            fusion=fused,
            depth=depth,
            batch=batch,
            threads=threads,
            progress=lambda done, total: shown.update("queries", done, total),
        )
    seconds = time.monotonic() - began
    if output is None:
        _show(index, asked, rankings)
        if expanding is not None:
            expanding.close()
        return
    lines = _write(rankings, output, tag=tag)
    none = sum(not ranking for ranking in rankings.values())
    print(
        f"{len(asked):,} queries, {mode}{f' {fused}' if mode == 'hybrid' else ''}: "
        f"{lines:,} hits in {seconds:,.1f} s ({len(asked) / max(seconds, 1e-9):,.0f} queries/s)"
        + (f"; {none:,} queries found nothing" if none else ""),
        file=sys.stderr,
    )
    if output != "-":
        print(f"written: {output}; next: llmaug evaluate {output} --qrels FILE", file=sys.stderr)
    if expanding is not None:
        expanding.close()


def _write(rankings: Rankings, output: str, *, tag: str) -> int:
    from llmaug.retrieval.rankings import write_rankings

    if output != "-":
        return write_rankings(output, rankings, tag=tag)
    with tempfile.TemporaryDirectory(prefix="llmaug-") as scratch:
        path = Path(scratch) / "run.trec"
        lines = write_rankings(path, rankings, tag=tag)
        with path.open("rb") as made:
            shutil.copyfileobj(made, sys.stdout.buffer)
        sys.stdout.flush()
    return lines


def _show(index: Index, asked: dict[str, str], rankings: Rankings) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmaug.cli.evaluation_tables import printable

    def line(text: str) -> str:
        shown: str = printable(" ".join(text.split()))
        return shown

    console = Console()
    for id, ranking in rankings.items():
        table = Table(
            title=Text(line(asked[id])), title_justify="left", box=None, pad_edge=False, expand=True
        )
        table.add_column("score", justify="right", min_width=7)
        table.add_column(
            "id",
            overflow="fold",
            min_width=min(24, max((len(line(document)) for document in ranking), default=2)),
        )
        table.add_column("document", overflow="ellipsis", no_wrap=True, ratio=1)
        for document, score in ranking.items():
            found = index.document(document)
            shown = " · ".join(part for part in (found.meta.get("title"), found.text) if part)
            table.add_row(f"{score:.4f}", Text(line(document)), Text(line(shown)[:300]))
        console.print(table)
        if not ranking:
            console.print("nothing found")
