"""Predictors: known values on a tiny corpus, odd queries, indexes of one side."""

from __future__ import annotations

import itertools
import math

import pytest

import llmaug as la
from llmaug.errors import RetrievalError
from llmaug.retrieval.predictors import (
    FEATURES,
    after_expansion,
    joined,
    known_feature,
    predictors,
)
from llmaug.retrieval.settings import Settings

pytest.importorskip("faiss", reason="needs the extra retrieval")

TEXTS = {
    "d1": "kettle boils water",
    "d2": "earcup headphones died",
    "d3": "vacuum cleaner hair water",
    "d4": "water leaks coffee machine",
}
QUERIES = {"q": "water kettle", "r": "headphones"}
ODD = {
    "unknown": "zyzzyva",
    "signs": "?!",
    "empty": "",
    "one letter": "a",
    "other script": "水壶",
    "long": "water " * 2_000,
}


def built(folder, **texts):
    documents = [la.Text(text, id, id) for id, text in (texts or TEXTS).items()]
    return la.Index.build(documents, folder / "index", embedder=la.embedder("fake"))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return built(tmp_path_factory.mktemp("predictors"))


def test_features_of_the_words_are_those_of_the_papers(index):
    found = predictors(index, {"q": "water kettle unheard"})["q"]
    water, kettle = math.log(4 / 3), math.log(4 / 1)
    scq = (1 + math.log(3)) * math.log(1 + 4 / 3), math.log(1 + 4)
    assert found["words"] == 3
    assert found["idf_mean"] == pytest.approx((water + kettle) / 2)
    assert found["idf_max"] == pytest.approx(kettle)
    assert found["scq_sum"] == pytest.approx(sum(scq))
    assert found["scq_max"] == pytest.approx(max(scq))


def test_features_of_rankings_are_those_of_their_scores(index):
    plain = {
        "dense": {"q": {"d1": 0.9, "d2": 0.5, "d3": 0.4, "d4": 0.2}},
        "bm25": {"q": {"d3": 2.0, "d1": 1.0}},
    }
    found = predictors(index, {"q": "water"}, plain=plain | {"bm25": None})["q"]
    assert found["top1"] == 0.9
    assert found["gap"] == pytest.approx(0.4)
    assert found["spread"] == pytest.approx(math.sqrt((0.4**2 + 0 + 0.1**2 + 0.3**2) / 4))
    assert found["nqc"] == pytest.approx(found["spread"] / 0.5)
    assert found["overlap"] == pytest.approx(3 / 10)  # BM25 finds the three with the word


def test_agreement_is_the_reciprocal_rank_of_the_other_sides_first(index):
    dense, lexical = (index.search(QUERIES, k=4, mode=mode) for mode in ("dense", "bm25"))
    for id, found in predictors(index, QUERIES).items():
        places = {document: rank for rank, document in enumerate(lexical[id], 1)}
        assert found["agreed"] == 1 / places.get(next(iter(dense[id])), math.inf)
        places = {document: rank for rank, document in enumerate(dense[id], 1)}
        assert found["bm25_agreed"] == 1 / places.get(next(iter(lexical[id])), math.inf)


def test_clarity_is_higher_where_the_documents_found_are_about_one_thing(tmp_path):
    about = [f"d{number}" for number in range(10)]
    texts = dict.fromkeys(about, "cat purrs")
    words = [f"{a}{b}word" for a, b in itertools.product("abcdefghij", repeat=2)]
    texts |= {f"e{n}": " ".join(words[n * 5 : n * 5 + 5]) for n in range(20)}
    index = built(tmp_path, **texts)
    ranking = {
        "one thing": {id: 1 - n / 100 for n, id in enumerate(about)},
        "many things": {f"e{n}": 1 - n / 100 for n in range(10)},
    }
    for of in ranking.values():  # as deep as the index, so that they are taken
        of.update({id: 0.0 for id in texts if id not in of})
    found = predictors(index, dict.fromkeys(ranking, "cat"), plain={"dense": ranking})
    share = 1 / 2 * math.log2(1 / 2 * 120 / 10) * 2  # two words, half of the model each
    assert found["one thing"]["clarity"] == pytest.approx(share)
    assert found["many things"]["clarity"] == pytest.approx(math.log2(1 / 50 * 120))


def test_clarity_leaves_out_documents_without_terms(tmp_path):
    texts = {"d1": "cat purrs", "d2": "dog barks"} | {f"e{number}": "?!" for number in range(20)}
    index = built(tmp_path, **texts)
    others = {f"e{number}": 0.5 for number in range(20)}  # more than clarity looks at
    ranking = {"one": {"d1": 0.9} | others | {"d2": 0.1}, "none": others | {"d1": 0.1, "d2": 0.1}}
    found = predictors(index, dict.fromkeys(ranking, "cat"), plain={"dense": ranking})
    assert found["one"]["clarity"] == pytest.approx(math.log2(1 / 2 * 4))  # two of four words
    assert found["none"]["clarity"] == 0


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_every_value_is_finite_for_odd_queries(index, text):
    found = predictors(index, {"q": text})["q"]
    assert found.keys() == {name for name, of in FEATURES.items() if "expansion" not in of.needs}
    assert all(math.isfinite(value) for value in found.values())


def test_nothing_found_and_one_hit_have_defined_values(index):
    found = predictors(index, {"none": "zyzzyva", "one": "headphones"})
    assert found["none"]["bm25_top1"] == found["none"]["bm25_nqc"] == found["none"]["idf_max"] == 0
    assert found["none"]["overlap"] == found["none"]["agreed"] == 0
    assert found["one"]["bm25_top1"] > 0
    assert found["one"]["bm25_gap"] == found["one"]["bm25_spread"] == 0


@pytest.mark.parametrize(("side", "other"), [("dense", "bm25"), ("bm25", "dense")])
def test_an_index_of_one_side_gives_the_features_of_that_side(tmp_path, side, other):
    documents = [la.Text(text, id, id) for id, text in TEXTS.items()]
    only = {"embedder": la.embedder("fake"), "settings": Settings(lexical=None)}
    if side == "bm25":
        only = {"embedder": None}
    index = la.Index.build(documents, tmp_path / "index", **only)
    assert index.modes == [side]
    found = predictors(index, QUERIES)["q"]
    assert found.keys() == {name for name, of in FEATURES.items() if of.needs <= {side}}
    assert all(other not in FEATURES[name].needs for name in found)


def test_rankings_already_there_change_nothing(index):
    plain = {mode: index.search(QUERIES, k=100, mode=mode) for mode in ("dense", "bm25")}
    shallow = {mode: index.search(QUERIES, k=1, mode=mode) for mode in ("dense", "bm25")}
    wanted = predictors(index, QUERIES)
    assert predictors(index, QUERIES, plain=plain) == wanted
    assert predictors(index, QUERIES, plain=shallow) == wanted  # not deep enough: searched again
    assert predictors(index, {"r": QUERIES["r"]}) == {"r": wanted["r"]}


def test_features_after_an_expansion_tell_what_it_moved():
    plain = {"q": {"a": 0.9, "b": 0.8}, "none": {}}
    expanded = {"q": {"c": 0.7, "a": 0.6}, "none": {}}
    found = after_expansion(plain, expanded, {"q": ["two words", "and three more"]})
    assert found["q"]["after_words"] == 5
    assert found["q"]["after_gain"] == pytest.approx(-0.2)
    assert found["q"]["after_overlap"] == pytest.approx(0.1)
    assert found["q"]["after_kept"] == 0.5
    assert set(found["none"].values()) == {0.0}
    assert all("expansion" in FEATURES[name].needs for name in found["q"])


def test_joined_features_hold_both():
    assert joined({"q": {"words": 1.0}}, {"q": {"top1": 0.5}}) == {"q": {"words": 1.0, "top1": 0.5}}


def test_every_feature_names_its_source():
    assert all(of.about and of.source for of in FEATURES.values())
    with pytest.raises(RetrievalError, match="did you mean top1"):
        known_feature("top_1")
