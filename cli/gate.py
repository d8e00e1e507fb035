"""`llmaug gate`: learn which queries are worth an expansion, and look at what was learned."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmaug.cli.gate_labels import measured
from llmaug.errors import OutputError, PlanError, RetrievalError, did_you_mean

if TYPE_CHECKING:
    from llmaug.retrieval.gate import Gate

app = typer.Typer(
    no_args_is_help=True, help="Which queries are worth an expansion: learn it, show it."
)
Option = typer.Option


@app.command()
def fit(
    folder: Annotated[Path, typer.Argument(help="an index that `llmaug index` made")],
    queries: Annotated[str, typer.Argument(help="labelled queries, not those tested on later")],
    qrels: Annotated[Path, Option(help="their judgements: a TREC or BEIR file")],
    expansions: Annotated[Path, Option(help="their expansions, which `llmaug expand` wrote")],
    output: Annotated[Path, Option("--output", "-o", help="file for the gate: gate.json")],
    measure: Annotated[
        str, Option("--measure", "-m", help="what an expansion should raise")
    ] = "nDCG@10",
    mode: Annotated[
        str | None, Option(help="dense, bm25 or hybrid, as it will be searched")
    ] = None,
    combine: Annotated[
        str | None, Option(help="how expansions are used (default: what is best in the mode)")
    ] = None,
    budget: Annotated[
        float | None, Option(min=0, max=1, help="largest share of queries to expand, e.g. 0.5")
    ] = None,
    most_worse: Annotated[
        float | None, Option(min=0, max=1, help="largest share of queries made worse, e.g. 0.05")
    ] = None,
    feature: Annotated[
        list[str] | None,
        Option(help="what to look at; again for more (default: all there is before an expansion)"),
    ] = None,
    per_collection: Annotated[
        bool, Option("--per-collection", help="one decision for every query of the collection")
    ] = False,
    embedder: Annotated[
        str | None, Option(help="where the embedder is now, if not where the index says")
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …")] = None,
    embedder_url: Annotated[
        str | None, Option(help="where the server of a served embedder is now")
    ] = None,
    fusion: Annotated[
        str | None,
        Option(help="how hybrid combines: convex(weight=0.5, scale='minmax'), … [default: rrf()]"),
    ] = None,
    depth: Annotated[
        int | None, Option(min=1, help="hits of each side that a fusion sees [default: 1000]")
    ] = None,
    seed: Annotated[int, Option(min=0, help="decides the folds")] = 0,
    plot: Annotated[Path | None, Option(help="draw gain against queries expanded: out.png")] = None,
) -> None:
    """Learn a gate from labelled queries and tell what it would have brought.

    Every number printed is of queries that the gate deciding on them did not see. "kept" is the
    share of the gain of expanding all that is left.

    Example: `llmaug gate fit scifact.index dev.jsonl --qrels dev.tsv --expansions expanded.jsonl
    --budget 0.5 -o gate.json`
    """
    _check(output, plot=plot, per_collection=per_collection, limits=(budget, most_worse, feature))
    names = _known(feature)
    found = measured(
        folder,
        queries,
        qrels=qrels,
        expansions=expansions,
        measure=measure,
        mode=mode,
        combine=combine,
        fusion=fusion,
        depth=depth,
        features=names,
        embedder=embedder,
        device=device,
        embedder_url=embedder_url,
    )
    if per_collection:
        from llmaug.retrieval.gate_pilot import pilot

        tried = pilot(found.plain, found.expanded, purpose=found.purpose)
        gate: Gate = tried.save(output)
        print(tried)
    else:
        from llmaug.retrieval.gate_fit import fit as fit_gate

        fitted = fit_gate(
            found.features,
            found.plain,
            found.expanded,
            budget=budget,
            most_worse=most_worse,
            seed=seed,
            use=names,
            purpose=found.purpose,
        )
        gate = fitted.save(output)
        if plot is not None:
            fitted.plot(plot)
            print(f"written: {plot}", file=sys.stderr)
        print(fitted)
    options = f"--mode {found.purpose.mode}"
    for option, value in (("--combine", combine), ("--fusion", fusion)):
        options += f' {option} "{value}"' if value is not None else ""
    print(f'written: {output}; next: llmaug search … {options} --gate "{gate}"', file=sys.stderr)


@app.command()
def show(file: Annotated[Path, typer.Argument(help="a gate that `llmaug gate fit` wrote")]) -> None:
    """Show what a gate looks at, and how it was learned.

    Example: `llmaug gate show gate.json`
    """
    from llmaug.retrieval.gate import collection, learned
    from llmaug.retrieval.gate_file import LARGEST

    try:
        with file.open("rb") as content:
            about = json.loads(content.read(LARGEST + 1))
    except (OSError, ValueError, RecursionError):
        about = {}  # opening it below says what is wrong
    kind = about.get("gate") if isinstance(about, dict) else None
    lines = []
    if kind == "collection":
        pilot = collection(file)
        gate: Gate = pilot
        lines.append(f"expands {'every query' if pilot.pilot.expand else 'no query'}")
    else:
        gate = linear = learned(file)
        model = linear.learned.model
        threshold = linear.learned.threshold
        which = "every query" if threshold < 0 else "no query"
        if math.isfinite(threshold):
            which = f"a query whose score is above {threshold:.4f}"
        lines.append(f"expands {which} ({model.kind})")
        lines.append(f"{'feature':<14}{'weight':>9}{'mean':>10}  range seen")
        lines += [
            f"{one.name:<14}{one.weight:>+9.4f}{one.mean:>10.4f}  {one.low:.4f} to {one.high:.4f}"
            for one in sorted(model.features, key=lambda one: -abs(one.weight))
        ]
    print(f"{gate}, fingerprint {gate.fingerprint}")
    print("\n".join(lines))
    if gate.purpose is not None:
        for name, value in gate.purpose._asdict().items():
            print(f"for the {name}: {json.dumps(value)}")
    trained = about.get("trained")
    if isinstance(trained, dict):
        for name, value in trained.items():
            print(f"{name}: {json.dumps(value)}")


def _check(
    output: Path, *, plot: Path | None, per_collection: bool, limits: tuple[Any, ...]
) -> None:
    """Raise what would go wrong at the end, before anything is searched."""
    from llmaug.formats.atomic import check_file
    from llmaug.retrieval.gate_curve import PICTURES

    options = ("--budget", "--most-worse", "--feature", "--plot")
    for option, value in zip(options, (*limits, plot), strict=True):
        if per_collection and value not in (None, []):
            raise PlanError(f"{option} is for a gate over queries; --per-collection has none")
    check_file(output)
    if plot is not None:
        if plot.suffix.lower() not in PICTURES:
            raise OutputError(f"{plot}: no picture; {did_you_mean(plot.suffix, PICTURES)}")
        check_file(plot)


def _known(features: list[str] | None) -> list[str] | None:
    from llmaug.retrieval.predictors import known_feature

    try:
        return [known_feature(name) for name in features] if features else None
    except RetrievalError as error:
        raise PlanError(f"--feature: {error}") from None
