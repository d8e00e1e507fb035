"""`llmaug gate`: learn which queries are worth an expansion, and look at what was learned."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from llmaug.cli.expanding import DEPTH
from llmaug.errors import OutputError, PlanError, RetrievalError, TextError, did_you_mean

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
    found = _measured(
        folder,
        queries,
        qrels=qrels,
        expansions=expansions,
        measure=measure,
        mode=mode,
        combine=combine,
        features=names,
        embedder=embedder,
        device=device,
    )
    if per_collection:
        from llmaug.retrieval.gate_pilot import pilot

        tried = pilot(found.plain, found.expanded)
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
        )
        gate = fitted.save(output)
        if plot is not None:
            fitted.plot(plot)
            print(f"written: {plot}", file=sys.stderr)
        print(fitted)
    print(f'written: {output}; next: llmaug search … --gate "{gate}"', file=sys.stderr)


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
        model, threshold, _ = linear.learned
        lines.append(f"expands a query whose score is above {threshold:.4f} ({model.kind})")
        lines.append(f"{'feature':<14}{'weight':>9}{'mean':>10}  range seen")
        lines += [
            f"{one.name:<14}{one.weight:>+9.4f}{one.mean:>10.4f}  {one.low:.4f} to {one.high:.4f}"
            for one in sorted(model.features, key=lambda one: -abs(one.weight))
        ]
    print(f"{gate}, fingerprint {gate.fingerprint}")
    print("\n".join(lines))
    trained = about.get("trained")
    if isinstance(trained, dict):
        for name, value in trained.items():
            print(f"{name}: {json.dumps(value)}")


class _Measured(NamedTuple):
    """Labelled queries: their features, and the measure without and with expansion."""

    features: dict[str, dict[str, float]]
    plain: dict[str, float]
    expanded: dict[str, float]


def _measured(
    folder: Path,
    queries: str,
    *,
    qrels: Path,
    expansions: Path,
    measure: str,
    mode: str | None,
    combine: str | None,
    features: list[str] | None,
    embedder: str | None,
    device: str | None,
) -> _Measured:
    from llmaug.cli.stages import Stages
    from llmaug.retrieval.combine import parse_combination
    from llmaug.retrieval.expand import search_expanded
    from llmaug.retrieval.expansions import read_expansions
    from llmaug.retrieval.index import Index
    from llmaug.retrieval.measure import evaluate
    from llmaug.retrieval.measure_names import parse_measure
    from llmaug.retrieval.predictors import after_expansion, joined, predictors
    from llmaug.retrieval.qrels import read_qrels
    from llmaug.retrieval.queries import read_queries

    parse_measure(measure)
    how = parse_combination(combine) if combine is not None else None
    if qrels.is_dir():
        raise TextError(f"{qrels} is a folder; name the file of judgements in it")
    judgements, asked = read_qrels(qrels), read_queries(queries)
    labelled = {id: text for id, text in asked.items() if judgements.get(id)}
    if not labelled:
        raise TextError(f"{qrels} judges none of the queries in {queries}; give those of one split")
    written = read_expansions(expansions)
    index = Index.open(folder, embedder=embedder, device=device)
    mode = index.mode(mode)
    with Stages() as shown:
        expanded = search_expanded(
            index,
            labelled,
            written,
            k=DEPTH,
            mode=mode,
            combine=how,
            progress=lambda done, total: shown.update("with expansions", done, total),
        )
        plain = index.search(
            labelled,
            k=DEPTH,
            mode=mode,
            progress=lambda done, total: shown.update("without", done, total),
        )
        known = predictors(index, labelled, plain={mode: plain})
    if any(name.startswith("after_") for name in features or []):
        known = joined(known, after_expansion(plain, expanded.rankings, written))
    judged = {id: judgements[id] for id in labelled}
    values: list[Any] = [
        evaluate(rankings, judged, [measure]).per_query for rankings in (plain, expanded.rankings)
    ]
    without, with_them = (next(iter(each.values())) for each in values)
    left = len(asked) - len(labelled)
    print(
        f"{mode}, {measure}, {expanded.counts()}"
        + (f"; {left:,} further queries have no judgements" if left else ""),
        file=sys.stderr,
    )
    return _Measured(known, without, with_them)


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
