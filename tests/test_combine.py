"""Combinations of a query with its expansions: what they find, print, accept and refuse."""

from __future__ import annotations

import numpy as np
import pytest

import llmaug as la
from llmaug.errors import PlanError
from llmaug.retrieval.combine import (
    COMBINATIONS,
    alone,
    combination,
    concat,
    convex,
    default_combination,
    four_way,
    max_of,
    mix,
    mugi_concat,
    parse_combination,
    rrf,
)

pytest.importorskip("faiss", reason="needs the extra retrieval")

DOCUMENTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "a quiet vacuum cleaner that picks up hair of dogs",
    "d4": "water leaks from the bottom of the coffee machine",
    "d5": "the battery of the torch lasts a weekend of camping",
}
QUERIES = {"a": "hot water", "b": "light for a tent", "c": "broken sound"}
EXPANSIONS = {"a": ["kettle boils"], "b": ["torch battery", "camping weekend"], "c": []}
MODES = ("dense", "bm25", "hybrid")
EVERY = [
    mix(weight=0.3),
    concat(),
    concat(repeat=5),
    mugi_concat(beta=2.5),
    max_of(),
    alone(),
    rrf(),
    rrf(k=10, weights=(2, 1)),
    convex(weights=(0.7, 0.3), scale="zscore"),
    four_way(),
    four_way(dense="max()", lexical=rrf(k=5), fusion="convex(weights=(2, 1, 1, 1))"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    texts = [la.Text(text, id, id) for id, text in DOCUMENTS.items()]
    folder = tmp_path_factory.mktemp("combine") / "index"
    return la.Index.build(texts, folder, embedder=la.embedder("fake"))


def serving():
    for how in EVERY:
        for mode in MODES:
            try:
                how.check(mode)
            except PlanError:
                continue
            yield pytest.param(how, mode, id=f"{how} {mode}")


@pytest.mark.parametrize("how", EVERY, ids=str)
def test_a_combination_prints_as_what_is_read_back(how):
    assert parse_combination(str(how)) == how
    assert repr(how) == str(how)
    assert hash(parse_combination(str(how))) == hash(how)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_name_alone_is_a_combination_with_its_defaults(name):
    assert parse_combination(name) == COMBINATIONS[name]()


@pytest.mark.parametrize(("how", "mode"), list(serving()))
def test_a_query_without_expansions_is_searched_as_ever(index, how, mode):
    plain = la.search(index, QUERIES, k=3, mode=mode)
    found = how.search(index, QUERIES, EXPANSIONS, k=3, mode=mode)
    assert list(found) == list(QUERIES)
    assert list(found["c"].items()) == list(plain["c"].items())
    assert how.search(index, QUERIES, {}, k=3, mode=mode) == plain


@pytest.mark.parametrize(("how", "mode"), list(serving()))
def test_rankings_are_cut_to_k_and_in_order(index, how, mode):
    for ranking in how.search(index, QUERIES, EXPANSIONS, k=2, mode=mode).values():
        assert len(ranking) <= 2
        assert list(ranking) == sorted(ranking, key=lambda id: (ranking[id], id), reverse=True)


@pytest.mark.parametrize(("how", "mode"), list(serving()))
def test_the_expansions_bring_up_what_the_query_does_not_name(index, how, mode):
    plain = list(la.search(index, QUERIES, k=5, mode=mode)["b"])
    found = list(how.search(index, QUERIES, EXPANSIONS, k=5, mode=mode)["b"])
    before = plain.index("d5") if "d5" in plain else len(DOCUMENTS)
    assert found.index("d5") < before or before == 0


@pytest.mark.parametrize(("how", "mode"), list(serving()))
def test_how_many_queries_are_searched_at_once_changes_nothing(index, how, mode):
    heard = []
    one, all_at_once = (
        how.search(
            index,
            QUERIES,
            EXPANSIONS,
            k=5,
            mode=mode,
            batch=batch,
            progress=lambda done, total: heard.append((done, total)),
        )
        for batch in (1, 256)
    )
    assert {id: pytest.approx(found, abs=1e-6) for id, found in one.items()} == all_at_once
    assert heard == [(1, 3), (2, 3), (3, 3), (3, 3)]


def test_the_query_is_repeated_in_proportion_to_what_was_written():
    assert concat(repeat=3).text("hot water", ["kettle", "tea"]) == (
        "hot water hot water hot water kettle tea"
    )
    written = "x" * 200
    assert mugi_concat(beta=6).repeats("hot water", [written]) == 200 // 9 // 6
    assert mugi_concat(beta=6).repeats("a" * 300, [written]) == 1
    assert mugi_concat(beta=6).repeats("?", ["x" * 60]) == 10
    assert alone().text("hot water", ["kettle", "tea"]) == "kettle tea"


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_mix_searches_between_the_query_and_the_mean_of_its_expansions(index, weight):
    query = index.encode(["light for a tent"])[0]
    mean = index.encode(EXPANSIONS["b"]).mean(axis=0)
    vector = (1 - weight) * query + weight * mean
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    expected = index.dense(vector[None], 5)[0]
    found = mix(weight=weight).search(index, QUERIES, EXPANSIONS, k=5, mode="dense")["b"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_max_is_the_best_score_under_any_of_the_texts(index):
    found = max_of().search(index, QUERIES, EXPANSIONS, k=5, mode="dense")["b"]
    texts = [QUERIES["b"], *EXPANSIONS["b"]]
    rankings = index.dense(index.encode(texts), 5)
    assert found == {id: max(ranking[id] for ranking in rankings) for id in DOCUMENTS}


def test_the_last_weight_of_rrf_holds_for_all_further_expansions(index):
    texts = [QUERIES["b"], *EXPANSIONS["b"]]
    rankings = [{"b": found} for found in index.bm25(texts, 5)]
    found = rrf(weights=(2, 1)).search(index, QUERIES, EXPANSIONS, k=5, mode="bm25")
    assert found["b"] == la.fuse(rankings, la.rrf(weights=(2, 1, 1)))["b"]


def test_four_way_fuses_both_sides_with_and_without_expansions(index):
    found = four_way(fusion="rrf(k=1, weights=(4, 3, 2, 1))").search(
        index, QUERIES, EXPANSIONS, k=5, mode="hybrid"
    )
    four = [
        la.search(index, QUERIES, mode="dense"),
        mix().search(index, QUERIES, EXPANSIONS, mode="dense"),
        la.search(index, QUERIES, mode="bm25"),
        mugi_concat().search(index, QUERIES, EXPANSIONS, mode="bm25"),
    ]
    assert found["a"] == la.fuse(four, la.rrf(k=1, weights=(4, 3, 2, 1)))["a"]


def test_a_rule_that_fuses_rankings_is_a_combination_too():
    assert combination(la.rrf(k=5)) == rrf(k=5)
    assert combination(la.convex(weight=0.75)) == convex(weights=(0.75, 0.25))
    assert combination("max") is not None


def test_each_mode_has_its_default():
    assert [str(default_combination(mode)) for mode in MODES] == [
        "mix(weight=0.5)",
        "mugi_concat(beta=6)",
        "four_way(dense='mix(weight=0.5)', lexical='mugi_concat(beta=6)', fusion='rrf(k=60)')",
    ]


@pytest.mark.parametrize(
    ("how", "mode", "message"),
    [
        (mix(), "bm25", "words have no vectors to mix; take mugi_concat"),
        (mix(weight=0.2), "hybrid", r"take four_way\(dense='mix\(weight=0.2\)'\)"),
        (four_way(), "dense", "needs the mode hybrid, not dense"),
    ],
    ids=["mix by words", "mix in both", "four by vectors"],
)
def test_a_mode_that_a_combination_cannot_serve_is_refused(index, how, mode, message):
    with pytest.raises(PlanError, match=message):
        how.search(index, QUERIES, EXPANSIONS, mode=mode)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mixx()", "unknown combination mixx; did you mean mix"),
        ("mix(0.5, 1)", "one argument without a name at most"),
        ("mix(weight=1.5)", "from 0 to 1, not 1.5"),
        ("mix(weight=True)", "from 0 to 1, not True"),
        ("concat(repeat=0)", "whole number from 1"),
        ("concat(repeat=10**9)", "not a literal"),
        ("mugi_concat(beta=0)", "above 0, not 0"),
        ("rrf(weights=(0, 0))", "must be above 0"),
        ("four_way(dense='mugi_concat()', lexical='mix()')", "words have no vectors"),
        ("four_way(fusion='rrf(weights=(1, 2))')", "weighs 2 rankings, but there are 4"),
        ("four_way(dense=3)", "such as 'mix"),
        ("four_way(dense='four_way()')", "needs the mode hybrid"),
        ("__import__('os')", "unknown combination __import__"),
    ],
)
def test_what_is_no_combination_is_refused(text, message):
    with pytest.raises(PlanError, match=message):
        parse_combination(text)
