"""Measuring rankings against judgements, with the values that trec_eval gives.

The values are pytrec_eval's (trec_eval's C code) through ir_measures, except for two that it does
not give: RR@k, from its reciprocal rank, and Judged@k, counted in its order of documents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from llmaug.errors import MissingExtra, PlanError, RetrievalError, did_you_mean
from llmaug.formats.fields import short
from llmaug.retrieval.collection import named_qrels
from llmaug.retrieval.measure_names import Measure as Measure
from llmaug.retrieval.measure_names import ir_measures
from llmaug.retrieval.measure_names import measures as measures
from llmaug.retrieval.measure_names import parse_measure as parse_measure
from llmaug.retrieval.qrels import LARGEST_GRADE, Qrels, whole
from llmaug.retrieval.rankings import Rankings, fits, read_rankings
from llmaug.retrieval.trec_order import in_order, numbers_in, ranked

AVERAGING = ("judged", "beir")

MANY = 10  # queries

Values = dict[str, dict[str, float]]  # measure -> {query id: value}


@dataclass(frozen=True)
class Evaluation:
    """How good rankings are: every measure by query, and its mean.

    `averaging` "judged": over every judged query, one that the rankings lack counting 0 (trec_eval
    with -c). "beir": over the judged queries that the rankings have, means rounded to 5 places.
    `per_query` holds the queries averaged over. Counts of queries: `judged`, `missing` (judged and
    not in the rankings), `unjudged` (in the rankings without judgements, left out).
    """

    per_query: Values
    mean: dict[str, float]
    judged: int
    missing: int
    unjudged: int
    averaging: str

    def __str__(self) -> str:
        width = max(map(len, self.mean))
        rows = [f"{name:<{width}}  {value:.4f}" for name, value in self.mean.items()]
        missing = "counted 0" if self.averaging == "judged" else "left out"
        rows.append(
            f"{self.judged:,} judged queries, {self.missing:,} missing from the rankings "
            f"({missing}), {self.unjudged:,} without judgements (left out)"
        )
        return "\n".join(rows)


def evaluate(
    rankings: Rankings | str | Path,
    qrels: Qrels | str | Path,
    measures: Sequence[str] = ("nDCG@10", "R@100"),
    *,
    averaging: str = "judged",
) -> Evaluation:
    """Measure rankings against judgements, query by query, as trec_eval does.

    Rankings and judgements may be files, judgements also a BEIR folder or `irds:NAME`. Scores are
    compared as 32-bit floats and ties broken by id (see `ranked`). A query with an empty ranking,
    or none of whose documents is relevant, has the value 0. `averaging="beir"` follows BEIR's own
    evaluation: documents with the id of their query are dropped first, and see `Evaluation`. Raises
    `PlanError` for an unknown measure, `TextError` for a file that cannot be read, and
    `RetrievalError` where rankings and judgements have no query in common, or many and no document,
    or hold what trec_eval cannot (a NaN, a huge grade).
    """
    asked = _asked(measures)
    if averaging not in AVERAGING:
        raise PlanError(f"no averaging {averaging!r}; {did_you_mean(averaging, AVERAGING)}")
    given = read_rankings(rankings) if isinstance(rankings, (str, os.PathLike)) else rankings
    grades = named_qrels(qrels) if isinstance(qrels, (str, os.PathLike)) else qrels
    judged = {query: _whole(of, query=query) for query, of in grades.items() if of}
    answered = {query: ranking for query, ranking in given.items() if query in judged}
    _check_common(given, answered, judged)
    if averaging == "beir":
        answered = {query: _without(query, ranking) for query, ranking in answered.items()}
    found = _values(answered, judged, asked)
    over = list(judged if averaging == "judged" else answered)
    per_query = {
        name: {query: values.get(query, 0.0) for query in over} for name, values in found.items()
    }
    mean = {name: sum(values.values()) / len(over) for name, values in per_query.items()}
    if averaging == "beir":
        mean = {name: round(value, 5) for name, value in mean.items()}
    return Evaluation(
        per_query,
        mean,
        judged=len(judged),
        missing=len(judged) - len(answered),
        unjudged=len(given) - len(answered),
        averaging=averaging,
    )


def _asked(names: Sequence[str]) -> list[Measure]:
    return measures(names)


def _without(id: str, ranking: dict[str, float]) -> dict[str, float]:
    """The ranking without the document of that id."""
    if id not in ranking:
        return ranking
    return {other: score for other, score in ranking.items() if other != id}


def _check_common(rankings: Rankings, answered: Rankings, judged: Qrels) -> None:
    """Raise `RetrievalError` where ids have nothing in common: a mistake, not a bad ranking."""
    for what, ids in (("rankings", rankings), ("judgements", judged)):
        if not ids:
            raise RetrievalError(f"the {what} hold no query; give those of a search")
    if not answered:
        theirs, ours = _sample(rankings), _sample(judged)
        raise RetrievalError(
            f"none of the {len(rankings):,} queries of the rankings is judged: ids such as "
            f"{theirs} there, {ours} among the {len(judged):,} of the judgements; give the "
            "judgements of these queries"
        )
    documents = {id for of in judged.values() for id in of}
    filled = [ranking for ranking in answered.values() if ranking]
    # A few queries can all be answered badly; many can not, unless the ids are of another corpus.
    if len(filled) >= MANY and all(documents.isdisjoint(ranking) for ranking in filled):
        raise RetrievalError(
            f"none of the {sum(map(len, filled)):,} documents ranked is judged: ids such as "
            f"{_sample(filled[0])} in the rankings, {_sample(documents)} among the "
            f"{len(documents):,} of the judgements; give the judgements of this corpus"
        )


def _sample(ids: Any) -> str:
    return f'"{short(str(min(ids, key=str)))}"'


def _whole(of: Mapping[str, int], *, query: str) -> dict[str, int]:
    """The grades of one query as Python's ints, in bounds that trec_eval can count in."""
    plain = set(map(type, of.values())) == {int}
    if plain and max(of.values()) <= LARGEST_GRADE and min(of.values()) >= -LARGEST_GRADE:
        _check_ids(of, query=query)
        return dict(of)
    for id, given in of.items():
        if whole(given) is None:
            raise RetrievalError(
                f"the grade of document {short(str(id))!r} for query {short(str(query))!r} is "
                f"{short(repr(given))}, not a whole number up to {LARGEST_GRADE:,}"
            )
    _check_ids(of, query=query)
    return {id: int(grade) for id, grade in of.items()}


def _check_ids(ids: Mapping[str, object], *, query: str) -> None:
    """Refuse ids that would crash trec_eval or be cut off by it."""
    try:
        if fits("".join(ids)):  # all at once: there may be millions
            return
    except TypeError:
        pass  # one is not a string
    for id in ids:
        if not isinstance(id, str) or not fits(id):
            raise RetrievalError(
                f"the document id {id!a} of query {short(str(query))!r} is not a string without "
                "NUL characters and halves of surrogate pairs; make it one"
            )


def _values(rankings: Rankings, judged: Qrels, asked: Sequence[Measure]) -> Values:
    """The values by measure and query; a query that is absent there has the value 0.

    What makes trec_eval crash is kept from it: empty rankings, and queries with negative grades
    only. It gets numbers for query ids, because it takes a query called "no query" for none.
    """
    depth = _depth(asked)
    found: Values = {measure.name: {} for measure in asked}
    queries: list[str] = []
    sent: tuple[Rankings, Qrels] = ({}, {})
    for query, ranking in rankings.items():
        scores = numbers_in(ranking, query=query)
        if math.isnan(sum(scores.values())):
            ranked(scores)  # raises for a NaN; infinities of both signs are all right
        for measure in asked:
            if measure.kind == "Judged" and scores:
                best = ranked(scores)[: measure.depth]
                found[measure.name][query] = sum(id in judged[query] for id in best) / len(best)
        if not scores or max(judged[query].values()) < 0:
            continue
        if depth and len(scores) > depth and in_order(scores):
            scores = dict(islice(scores.items(), depth))
        _check_ids(scores, query=query)
        number = str(len(queries))
        sent[0][number], sent[1][number] = scores, judged[query]
        queries.append(query)
    for measure, number, value in _from_trec_eval(*sent, asked):
        found[measure.name][queries[int(number)]] = value
    return found


def _depth(asked: Sequence[Measure]) -> int | None:
    """How many documents decide every measure; None where all may."""
    depths = [measure.depth for measure in asked if not measure.judged_only]
    if len(depths) < len(asked) or None in depths:
        return None
    return max(depth for depth in depths if depth is not None)


def _from_trec_eval(
    rankings: Rankings, judged: Qrels, asked: Sequence[Measure]
) -> list[tuple[Measure, str, float]]:
    """What pytrec_eval gives, and RR@k from its reciprocal ranks: measure, query, value.

    No other provider of ir_measures is asked: they break ties differently.
    """
    wanted: dict[Any, list[Measure]] = {}
    for measure in asked:
        if measure.kind != "Judged":
            wanted.setdefault(measure.in_ir_measures(), []).append(measure)
    if not wanted or not rankings:
        return []
    provider = ir_measures().providers.registry["pytrec_eval"]
    if not provider.is_available():
        raise MissingExtra("pytrec-eval-terrier", "retrieval")
    found = []
    for metric in provider.evaluator(list(wanted), judged).iter_calc(rankings):
        for measure in wanted[metric.measure]:
            value = float(metric.value)
            if measure.kind == "RR" and value and round(1 / value) > (measure.depth or math.inf):
                value = 0.0  # the first relevant document comes after the cutoff
            found.append((measure, metric.query_id, value))
    return found
