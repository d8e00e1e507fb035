"""Every measure equals pytrec_eval's, whatever the rankings and judgements are like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import RetrievalError
from llmaug.retrieval.measure import MANY, Evaluation, evaluate, measures
from llmaug.retrieval.measure_names import MEASURES
from llmaug.retrieval.qrels import Qrels
from llmaug.retrieval.rankings import Rankings, ranked

# Our notation, pytrec_eval's name for the same, and the options it is asked with.
BOTH = {"relevance_level": 2, "judged_docs_only_flag": 1}
EQUAL: list[tuple[str, str, dict[str, int]]] = [
    ("nDCG", "ndcg", {}),
    ("nDCG@1", "ndcg_cut_1", {}),
    ("nDCG@3", "ndcg_cut_3", {}),
    ("nDCG(judged_only=True)@3", "ndcg_cut_3", {"judged_docs_only_flag": 1}),
    ("R@2", "recall_2", {}),
    ("Recall@100", "recall_100", {}),
    ("R(rel=2)@3", "recall_3", {"relevance_level": 2}),
    ("P@5", "P_5", {}),
    ("P(rel=2)@2", "P_2", {"relevance_level": 2}),
    (
        "Precision(rel=2,judged_only=True)@2",
        "P_2",
        {"relevance_level": 2, "judged_docs_only_flag": 1},
    ),
    ("AP", "map", {}),
    ("MAP", "map", {}),
    ("AP(rel=2)", "map", {"relevance_level": 2}),
    ("AP(judged_only=True)", "map", {"judged_docs_only_flag": 1}),
    ("MAP@2", "map_cut_2", {}),
    ("RR", "recip_rank", {}),
    ("MRR(rel=3)", "recip_rank", {"relevance_level": 3}),
    ("RR(judged_only=True)", "recip_rank", {"judged_docs_only_flag": 1}),
    ("Success@1", "success_1", {}),
    ("Success(rel=2)@3", "success_3", {"relevance_level": 2}),
    ("IPrec@0.1", "iprec_at_recall_0.10", {}),
    ("IPrec(rel=2)@0.55", "iprec_at_recall_0.55", {"relevance_level": 2}),
    ("Rprec", "Rprec", {}),
    ("Rprec(rel=2)", "Rprec", {"relevance_level": 2}),
    ("Bpref", "bpref", {}),
    ("Bpref(rel=2)", "bpref", {"relevance_level": 2}),
    ("infAP", "infAP", {}),
    ("infAP(rel=2)", "infAP", {"relevance_level": 2}),
    ("SetP", "set_P", {}),
    ("SetP(judged_only=True)", "set_P", {"judged_docs_only_flag": 1}),
    ("SetR", "set_recall", {}),
    ("SetF", "set_F", {}),
    ("SetF(rel=2)", "set_F", {"relevance_level": 2}),
    ("SetAP", "set_map", {}),
]
NAMES = [name for name, _, _ in EQUAL]
COUNTED = ("MRR@1", "RR@2", "MRR(rel=2)@3", "RR(judged_only=True)@2", "Judged@2", "Judged")

# As numbers 9 < 10, as strings "10" < "9"; and letters whose order in UTF-16 is another.
IDS = ["9", "10", "d1", "d10", "D1", "é", "z", "\uffff", "😀", "d-1", "no_query", "0"]
# Equal as 32-bit floats in groups, or beyond their range on both sides.
SCORES = [0.0, -0.0, 1.0, 1.00000001, 1.00000002, -1e-60, 1e-60, 1e300, 1e308, -1e300, 16777216.0]
SCORES += [16777217.0, 0.5, 1e-45]
GRADES = [-2, -1, 0, 1, 2, 3, 7]

documents = st.sampled_from(IDS)
queries = st.sampled_from([*IDS, "no query", "q1"])
scores = st.sampled_from(SCORES) | st.floats(allow_nan=False)
all_rankings = st.dictionaries(queries, st.dictionaries(documents, scores, max_size=10), min_size=1)
all_qrels = st.dictionaries(
    queries, st.dictionaries(documents, st.sampled_from(GRADES), max_size=10), min_size=1
)


def evaluated(rankings: Rankings, qrels: Qrels, names: Any, **options: str) -> Evaluation | None:
    """The evaluation; None, surely so, where no query, or of many none's document, is in common."""
    judged = {query for query, grades in qrels.items() if grades}
    filled = [query for query in judged & rankings.keys() if rankings[query]]
    ranked_ids = {id for query in filled for id in rankings[query]}
    graded = {id for grades in qrels.values() for id in grades}
    if not judged & rankings.keys() or (len(filled) >= MANY and not ranked_ids & graded):
        with pytest.raises(RetrievalError):
            evaluate(rankings, qrels, names, **options)
        return None
    return evaluate(rankings, qrels, names, **options)


def reference(rankings: Rankings, qrels: Qrels, name: str, options: dict[str, int]) -> Any:
    """pytrec_eval's own values, one query at a time; 0 for what makes it crash."""
    found = {}
    for query in rankings.keys() & qrels.keys():
        grades = qrels[query]
        if not grades:
            continue
        if not rankings[query] or max(grades.values()) < 0:
            found[query] = 0.0
            continue
        evaluator = pytrec_eval.RelevanceEvaluator({"q": grades}, {name}, **options)
        found[query] = evaluator.evaluate({"q": rankings[query]})["q"][name]
    return found


def agrees(rankings: Rankings, qrels: Qrels, evaluation: Evaluation, table: Any) -> bool:
    """Asserts everything that an evaluation says, and is true."""
    judged = [query for query, grades in qrels.items() if grades]
    for name, theirs, options in table:
        values = reference(rankings, qrels, theirs, options)
        over = judged if evaluation.averaging == "judged" else list(values)
        wanted = {query: values.get(query, 0.0) for query in over}
        assert evaluation.per_query[name] == pytest.approx(wanted, abs=1e-12, rel=0)
        mean = math.fsum(wanted.values()) / len(wanted)
        places = 1e-12 if evaluation.averaging == "judged" else 0.5e-5 + 1e-12
        assert evaluation.mean[name] == pytest.approx(mean, abs=places, rel=0)
    assert evaluation.judged == len(judged)
    assert evaluation.missing == len(set(judged) - rankings.keys())
    assert evaluation.unjudged == len(rankings.keys() - set(judged))
    return True


@given(all_rankings, all_qrels, st.permutations(EQUAL))
def test_every_measure_over_all_judged_queries_is_that_of_pytrec_eval(
    rankings: Rankings, qrels: Qrels, table: Any
) -> None:
    evaluation = evaluated(rankings, qrels, [name for name, _, _ in table])
    assert evaluation is None or agrees(rankings, qrels, evaluation, table)


@given(all_rankings, all_qrels, st.lists(st.sampled_from(EQUAL), min_size=1, max_size=3))
def test_few_measures_are_the_same_as_many_and_beir_averages_over_the_scored_queries(
    rankings: Rankings, qrels: Qrels, table: Any
) -> None:
    names = [name for name, _, _ in table]
    evaluation = evaluated(rankings, qrels, names, averaging="beir")
    if evaluation is not None:
        without = {q: {d: s for d, s in r.items() if d != q} for q, r in rankings.items()}
        assert agrees(without, qrels, evaluation, table)


def in_order(ranking: dict[str, float]) -> list[str]:
    """trec_eval's order by definition: 32-bit scores, then the larger id by its bytes."""
    with np.errstate(over="ignore"):
        pairs = [(float(np.float32(score)), id.encode(), id) for id, score in ranking.items()]
    return [id for _, _, id in sorted(pairs, reverse=True)]


def counted(name: str, ranking: dict[str, float], grades: dict[str, int]) -> float:
    """RR@k and Judged@k by definition."""
    measure = measures([name])[0]
    ids = in_order(ranking)
    if measure.judged_only:
        ids = [id for id in ids if grades.get(id, -1) >= 0]
    ids = ids[: measure.depth]
    if measure.kind == "Judged":
        return sum(id in grades for id in ids) / len(ids) if ids else 0.0
    ranks = [rank for rank, id in enumerate(ids, 1) if grades.get(id, 0) >= measure.rel]
    return 1 / ranks[0] if ranks else 0.0


@given(all_rankings, all_qrels)
def test_what_pytrec_eval_lacks_is_counted_in_its_order(rankings: Rankings, qrels: Qrels) -> None:
    evaluation = evaluated(rankings, qrels, ["RR", *COUNTED])
    if evaluation is None:
        return
    for query, values in reference(rankings, qrels, "recip_rank", {}).items():
        assert counted("RR", rankings[query], qrels[query]) == pytest.approx(values, abs=1e-12)
        for name in COUNTED:
            wanted = counted(name, rankings[query], qrels[query])
            assert evaluation.per_query[name][query] == pytest.approx(wanted, abs=1e-12, rel=0)


@given(st.dictionaries(documents, scores))
def test_ranked_is_the_order_by_definition(ranking: dict[str, float]) -> None:
    assert ranked(ranking) == in_order(ranking)


def test_every_measure_offered_is_compared_here() -> None:
    kinds = {measure.kind for measure in measures([*NAMES, *COUNTED])}
    assert kinds == {offered.name for offered in MEASURES.values()}


GOLDEN: Qrels = {"q1": {"a": 3, "b": 2, "c": 1, "d": 0}, "q2": {"a": 1}, "q3": {"a": 0}}
FOUND: Rankings = {"q1": {"d": 0.9, "a": 0.8, "x": 0.7, "c": 0.6}, "q3": {"a": 1.0}, "q9": {}}


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        (
            "nDCG@10",
            (3 / math.log2(3) + 1 / math.log2(5)) / (3 + 2 / math.log2(3) + 1 / math.log2(4)),
        ),
        ("nDCG@2", (3 / math.log2(3)) / (3 + 2 / math.log2(3))),
        ("AP", (1 / 2 + 2 / 4) / 3),
        ("AP(rel=2)", (1 / 2) / 2),
        ("MAP@2", (1 / 2) / 3),
        ("P@5", 2 / 5),
        ("R@2", 1 / 3),
        ("RR", 1 / 2),
        ("MRR@1", 0),
        ("MRR@2", 1 / 2),
        ("RR(rel=1,judged_only=True)@10", 1 / 2),
        ("Rprec", 1 / 3),
        ("Success@1", 0),
        ("Success@2", 1),
        ("SetF", 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)),
        ("Judged@3", 2 / 3),
        ("Judged", 3 / 4),
    ],
)
def test_values_by_hand(name: str, by_hand: float) -> None:
    evaluation = evaluate(FOUND, GOLDEN, [name])
    (values,) = evaluation.per_query.values()
    third = 1 if name.startswith("Judged") else 0
    assert values == pytest.approx({"q1": by_hand, "q2": 0, "q3": third}, abs=1e-15)
    (mean,) = evaluation.mean.values()
    assert mean == pytest.approx((by_hand + third) / 3, abs=1e-15)
    counts = (evaluation.judged, evaluation.missing, evaluation.unjudged, evaluation.averaging)
    assert counts == (3, 1, 1, "judged")


def test_beir_drops_documents_named_as_their_query_and_rounds() -> None:
    qrels = {"a": {"a": 1, "b": 1}, "b": {"c": 1}, "c": {"a": 1}}
    rankings = {"a": {"a": 3.0, "x": 2.0, "b": 1.0}, "b": {"x": 9.0, "y": 8.0, "c": 7.0}}
    evaluation = evaluate(rankings, qrels, ["RR", "P@3"], averaging="beir")
    assert evaluation.per_query["RR"] == pytest.approx({"a": 1 / 2, "b": 1 / 3})
    assert evaluation.mean == {"RR": 0.41667, "P@3": 0.33333}
    assert (evaluation.missing, rankings["a"]["a"]) == (1, 3.0)


def test_the_text_of_an_evaluation_holds_means_and_counts() -> None:
    lines = str(evaluate(FOUND, GOLDEN, "AP MRR@10")).splitlines()
    assert [line.split() for line in lines[:2]] == [["AP", "0.1111"], ["MRR@10", "0.1667"]]
    assert lines[2].startswith("3 judged queries, 1 missing from the rankings (counted 0), 1 ")
