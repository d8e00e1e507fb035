"""Fusion: what rules say and how they print, what they are invariant to, and odd rankings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval.fuse import convex, fuse, parse_fusion, rrf
from llmaug.retrieval.rankings import ranked

RULES = [
    rrf(),
    rrf(k=0),
    rrf(k=10.5, weights=(0.7, 0.3)),
    convex(),
    convex(weight=0.3, scale="zscore"),
    convex(weights=[3, 1]),
    convex(weights=(1, 1), scale="zscore"),
]
IDS = st.text(alphabet="abé中1", min_size=1, max_size=3)
# Sixteenths, so that maps of scores in the tests below are exact.
SCORES = st.integers(-1600, 1600).map(lambda number: number / 16)


def best_first(scores):
    """The rule itself: score, then id by its bytes, both descending."""
    order = sorted(scores, key=lambda id: (scores[id], id.encode()), reverse=True)
    return {id: scores[id] for id in order}


RANKINGS = st.dictionaries(IDS, SCORES, max_size=12).map(best_first)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_is_read_back_from_its_printed_form(rule):
    assert parse_fusion(str(rule)) == rule
    assert repr(rule) == str(rule)


@pytest.mark.parametrize(
    ("rule", "printed"),
    [
        (rrf(), "rrf(k=60)"),
        (rrf(weights=(0.7, 0.3)), "rrf(k=60, weights=(0.7, 0.3))"),
        (convex(weight=0.5), "convex(weight=0.5, scale='minmax')"),
        (convex(weights=(np.float64(0.5), 1)), "convex(weights=(0.5, 1), scale='minmax')"),
        (parse_fusion(" rrf "), "rrf(k=60)"),
    ],
)
def test_the_printed_form(rule, printed):
    assert str(rule) == printed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rrff", "unknown fusion rrff; did you mean rrf?"),
        ("rrf(60, 1)", "one argument without a name at most"),
        ("rrf(kk=60)", "no argument 'kk'; did you mean k?"),
        ("rrf(k=1, k=2)", "given k twice"),
        ("rrf(**{})", "no argument"),
        ("rrf(k=open('f'))", "not a literal"),
        ("rrf(k=True)", "k must be a number of at least 0, not True"),
        ("rrf(k=1e999)", "k must be a number"),
        ("rrf(weights=(1, -1))", "each of weights must be a number of at least 0"),
        ("rrf(weights=(0, 0))", "sum of weights must be above 0"),
        ("rrf(weights='11')", "several numbers"),
        ("convex(weight=1.5)", "between 0 and 1"),
        ("convex(weight=0.5, weights=(1, 2))", "not both"),
        ("convex(scale='minmx')", "unknown scale 'minmx'; did you mean minmax?"),
        ("rrf() + rrf()", "is not a fusion"),
        ("f.rrf()", "is not a fusion"),
        ("rrf(", "does not parse"),
        ("", "does not parse"),
        ("rrf(k=" + "1" * 2000 + ")", "longer than"),
    ],
)
def test_a_rule_that_is_none_is_refused_in_one_line(text, complaint):
    with pytest.raises(PlanError) as refused:
        parse_fusion(text)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_rrf_sums_reciprocal_ranks():
    fused = rrf(k=60).fuse([{"a": 9.0, "b": 8.0}, {"b": 0.2, "c": 0.1}])
    assert list(fused) == ["b", "a", "c"]
    assert fused["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert fused["c"] == pytest.approx(1 / 62)


def test_rrf_goes_by_the_order_of_a_ranking_where_scores_tie():
    assert list(rrf().fuse([{"a": 1.0, "b": 1.0}])) == ["a", "b"]


def test_convex_averages_scores_on_one_scale():
    first, second = {"a": 10.0, "b": 5.0, "c": 0.0}, {"c": 0.9, "d": 0.8, "a": 0.4}
    fused = convex(weight=0.75).fuse([first, second])
    assert fused == pytest.approx({"a": 0.75, "b": 0.375, "c": 0.25, "d": 0.2})
    assert list(fused) == ["a", "b", "c", "d"]


def test_a_document_that_a_ranking_lacks_counts_there_as_its_lowest():
    fused = convex(weight=0.5, scale="zscore").fuse([{"a": 3.0, "b": 1.0}, {"c": 1.0, "a": 0.0}])
    assert fused == pytest.approx({"a": 0.0, "b": -1.0, "c": 0.0})
    assert list(fused) == ["c", "a", "b"]  # equal scores: the later id first


@settings(deadline=None)
@given(RANKINGS, RANKINGS, RANKINGS)
def test_fused_documents_are_all_there_best_first_in_any_order_of_rankings(a, b, c):
    for rule in (rrf(), convex(), convex(scale="zscore")):
        fused = rule.fuse([a, b, c])
        assert set(fused) == {*a, *b, *c}
        assert list(fused) == list(best_first(fused)) == ranked(fused)
        assert all(math.isfinite(score) for score in fused.values())
        assert all(float(np.float32(score)) == score for score in fused.values())
        for others in itertools.permutations([a, b, c]):
            assert list(rule.fuse(others).items()) == list(fused.items())


@settings(deadline=None)
@given(RANKINGS, RANKINGS)
def test_rrf_sees_ranks_only(a, b):
    cubed = {id: score**3 for id, score in a.items()}
    assert rrf().fuse([cubed, b]) == rrf().fuse([a, b])


@settings(deadline=None)
@given(RANKINGS, RANKINGS, st.sampled_from([0.25, 2.0, 8.0]), st.integers(-50, 50))
def test_minmax_does_not_see_the_unit_of_scores(a, b, factor, shift):
    other_unit = {id: score * factor + shift for id, score in a.items()}
    assert convex().fuse([other_unit, b]) == convex().fuse([a, b])


@settings(deadline=None)
@given(RANKINGS, st.sampled_from(RULES))
def test_a_ranking_fused_with_itself_keeps_its_order(ranking, rule):
    assume(len(set(ranking.values())) == len(ranking))
    assert list(rule.fuse([ranking, ranking])) == list(ranking)


@settings(deadline=None)
@given(RANKINGS, RANKINGS, st.sampled_from([rrf, convex]), st.sampled_from([0.5, 4.0, 1024.0]))
def test_only_the_proportion_of_weights_counts(a, b, rule, factor):
    scaled = rule(weights=(3 * factor, factor))
    assert scaled.fuse([a, b]) == rule(weights=(3, 1)).fuse([a, b])


@settings(deadline=None)
@given(RANKINGS, RANKINGS)
def test_equal_weights_are_none(a, b):
    assert rrf(weights=(2, 2)).fuse([a, b]) == rrf().fuse([a, b])
    assert convex(weight=0.5).fuse([a, b]) == convex().fuse([a, b])


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rankings_with_nothing_or_one_document_or_one_score(rule):
    assert rule.fuse([{}, {}]) == {}
    assert list(rule.fuse([{"a": 1.0}, {}])) == ["a"]
    assert set(rule.fuse([{"a": 0.1, "b": 0.1, "c": 0.1}, {"d": -3.0}])) == set("abcd")


def test_documents_with_one_score_are_all_the_best_for_minmax_and_all_average_for_zscore():
    same = {"c": 0.1, "b": 0.1, "a": 0.1}
    assert convex().fuse([same, {}]) == dict.fromkeys("cba", 0.5)
    assert convex(scale="zscore").fuse([same, {"d": 4.0}]) == dict.fromkeys("dcba", 0.0)


@pytest.mark.parametrize("scores", [(5e-324, 0.0), (1e300, -1e300), (1e-300, 0.0)])
@pytest.mark.parametrize("scale", ["minmax", "zscore"])
def test_scores_at_the_ends_of_floating_point_are_fused(scores, scale):
    fused = convex(scale=scale).fuse([dict(zip("ab", scores, strict=True))] * 2)
    assert list(fused) == ["a", "b"] or fused["a"] == fused["b"]
    assert all(map(math.isfinite, fused.values()))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_named(wrong):
    rankings = [{"q7": {"a": 1.0, "b": wrong}}, {"q7": {"a": 1.0}}]
    with pytest.raises(RetrievalError, match="query 'q7': document 'b' has the score"):
        fuse(rankings, "convex")


def test_queries_of_any_ranking_are_fused_and_cut():
    first = {"q1": {"a": 2.0, "b": 1.0}, "q2": {"c": 1.0}}
    second = {"q3": {"d": 1.0}, "q1": {"b": 2.0, "e": 1.0}}
    fused = fuse([first, second], rrf(), k=2)
    assert {query: list(found) for query, found in fused.items()} == {
        "q1": ["b", "a"],
        "q2": ["c"],
        "q3": ["d"],
    }


@pytest.mark.parametrize("how", ["rrf(weights=(1, 2, 3))", "convex(weight=0.5)"])
def test_weights_for_another_number_of_rankings_are_refused(how):
    with pytest.raises(PlanError, match=r"weighs \d rankings, but there are 4"):
        fuse([{}] * 4, how)


def test_nothing_to_fuse_is_refused():
    with pytest.raises(RetrievalError, match="no rankings"):
        fuse([], "rrf")
    with pytest.raises(PlanError, match="at least 1 document, not 0"):
        fuse([{}], "rrf", k=0)
