"""Labelled queries as a gate learns from them: searched without and with their expansions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.cli.expanding import DEPTH
from llmaug.errors import PlanError, TextError
from llmaug.formats.fields import short

if TYPE_CHECKING:
    from llmaug.retrieval.gate_purpose import Purpose


class Measured(NamedTuple):
    """Labelled queries: their features, and the measure without and with expansion.

    `purpose` is the search that gave both.
    """

    features: dict[str, dict[str, float]]
    plain: dict[str, float]
    expanded: dict[str, float]
    purpose: Purpose


def measured(
    folder: Path,
    queries: str,
    *,
    qrels: Path,
    expansions: Path,
    measure: str,
    mode: str | None,
    combine: str | None,
    fusion: str | None,
    depth: int | None,
    features: list[str] | None,
    embedder: str | None,
    device: str | None,
    embedder_url: str | None,
) -> Measured:
    """Search labelled queries without and with their expansions, as `llmaug search` would."""
    from llmaug.cli.stages import Stages
    from llmaug.retrieval.collection import named_qrels, named_queries
    from llmaug.retrieval.combine import parse_combination
    from llmaug.retrieval.expand import search_expanded
    from llmaug.retrieval.expansions import read_expansions
    from llmaug.retrieval.fuse import parse_fusion
    from llmaug.retrieval.gate_purpose import purpose
    from llmaug.retrieval.index import Index
    from llmaug.retrieval.index_reader import DEPTH as FUSED
    from llmaug.retrieval.measure import evaluate
    from llmaug.retrieval.measure_names import parse_measure
    from llmaug.retrieval.predictors import after_expansion, joined, predictors

    parse_measure(measure)
    how = parse_combination(combine) if combine is not None else None
    fused = parse_fusion(fusion or "rrf()")
    if qrels.is_dir():
        raise TextError(f"{qrels} is a folder; name the file of judgements in it")
    judgements, asked = named_qrels(qrels), named_queries(queries)
    labelled = {id: text for id, text in asked.items() if judgements.get(id)}
    if not labelled:
        raise TextError(f"{qrels} judges none of the queries in {queries}; give those of one split")
    written = read_expansions(expansions, queries=asked)
    if lacking := [id for id in labelled if id not in written]:
        # Left out: a gate would learn from them that nothing was written.
        print(
            f"{len(lacking):,} of {len(labelled):,} judged queries are not in {expansions} and "
            f"are left out, such as {short(lacking[0])}",
            file=sys.stderr,
        )
        labelled = {id: text for id, text in labelled.items() if id in written}
    if not labelled:
        raise TextError(f"{expansions} holds expansions of none of the judged queries")
    index = Index.open(folder, embedder=embedder, device=device, base_url=embedder_url)
    mode = index.mode(mode)
    searched = purpose(mode, how, fusion=fused, depth=depth or FUSED, measure=measure)
    _check_fusion(searched, fusion, depth)
    with Stages() as shown:
        expanded = search_expanded(
            index,
            labelled,
            written,
            k=DEPTH,
            mode=mode,
            combine=how,
            fusion=fused,
            depth=depth or FUSED,
            progress=lambda done, total: shown.update("with expansions", done, total),
        )
        plain = index.search(
            labelled,
            k=DEPTH,
            mode=mode,
            fusion=fused,
            depth=depth or FUSED,
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
    return Measured(known, without, with_them, searched)


def _check_fusion(searched: Purpose, fusion: str | None, depth: int | None) -> None:
    """Raise `PlanError` where a fusion is described and the search has none."""
    by = f"this search is by {searched.mode}; leave it"
    if fusion is not None and searched.fusion is None:
        raise PlanError(f"--fusion is for --mode hybrid, and {by}")
    if depth is not None and searched.depth is None:
        raise PlanError(
            f"--depth is for --mode hybrid or a --combine that fuses rankings, and {by}"
        )
