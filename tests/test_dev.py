"""Dev sets: the documents that queries are searched in, and what models score there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_index import TEXTS, documents

import llmaug as la
from llmaug.errors import PlanError, RetrievalError
from llmaug.training.dev import DevSet, dev_pool, dev_values

pytest.importorskip("faiss", reason="needs the extra retrieval")

QUERIES = {"q1": "water in the kettle", "q2": "camping torch", "q3": "headphones died"}
QRELS = {"q1": {"d1": 1}, "q2": {"d5": 1}, "q3": {"d1": 1}}


class Remembering:
    """The fake embedder, with a count of the texts that it was given."""

    def __init__(self, **options):
        self.inner, self.texts = la.embedder("fake", **options), 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def encode(self, texts, *, side=""):
        self.texts += len(texts)
        return self.inner.encode(texts, side=side)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev") / "index"
    return la.Index.build(documents(), folder, embedder=la.embedder("fake"))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    texts = {f"x{n:03}": f"word{n} of document {n}" for n in range(200)}
    folder = tmp_path_factory.mktemp("large") / "index"
    return la.Index.build(documents(**TEXTS, **texts), folder, embedder=la.embedder("fake"))


@pytest.fixture
def dev(index):
    return DevSet.of(index, QUERIES, QRELS)


def test_values_are_those_of_a_search_of_the_index(index, dev):
    embedder = la.embedder("fake")
    for measure in ("nDCG@10", "RR", "R@1", "AP"):
        expected = la.evaluate(la.search(index, QUERIES, mode="dense"), QRELS, [measure])
        assert dev.values(embedder, measure) == expected.per_query[measure]


def test_neither_the_order_nor_the_batches_change_values(dev):
    turned = DevSet(dict(reversed(QUERIES.items())), QRELS, dev.documents[::-1])
    assert turned.digest == dev.digest
    embedder = Remembering()
    embedder.batch = 2
    assert turned.values(embedder) == dev.values(la.embedder("fake"))


def test_documents_of_equal_score_are_in_the_order_of_trec_eval():
    same = tuple((f"d{n}", "water in the kettle") for n in range(12))
    dev = DevSet({"q": "water"}, {"q": {"d9": 1, "d1": 1}}, same)
    # d9 before d8 … before d2 before d11 before d10 before d1: places 1 and 11.
    assert dev.values(la.embedder("fake"), "R@10") == {"q": 0.5}
    assert dev.values(la.embedder("fake"), "R@11") == {"q": 1.0}


def test_a_model_that_finds_nothing_has_the_value_0():
    texts = tuple((f"d{n:03}", f"word{n}") for n in range(300))
    queries = {f"q{n}": f"word{n}" for n in range(1, 21)}
    dev = DevSet(queries, {q: {"d000": 1} for q in queries}, texts)
    assert set(dev.values(la.embedder("fake")).values()) == {0.0}


def test_a_measure_that_is_none_is_refused_before_anything_is_encoded(dev):
    embedder = Remembering()
    with pytest.raises(PlanError, match="nDCG"):
        dev.values(embedder, "nDGC@10")
    assert embedder.texts == 0


def test_queries_without_judgements_are_left_out_or_refused(index, dev):
    more = {**QUERIES, "q4": "a query that nobody judged"}
    assert DevSet.of(index, more, QRELS).digest == dev.digest
    with pytest.raises(RetrievalError, match="dev query 'q4'"):
        DevSet(more, QRELS, dev.documents)
    with pytest.raises(RetrievalError, match="at least one query"):
        DevSet.of(index, {"q4": "words"}, QRELS)


def test_a_pool_without_a_size_is_the_corpus(large):
    assert dev_pool(large, QUERIES, QRELS) == large.ids.tolist()
    assert dev_pool(large, QUERIES, QRELS, size=1000) == large.ids.tolist()


def test_a_pool_holds_the_judged_then_candidates_then_random_ones(large):
    pool = dev_pool(large, QUERIES, QRELS, size=22)
    assert len(pool) == len(set(pool)) == 22
    assert pool == [id for id in large.ids.tolist() if id in pool]
    assert {"d1", "d5"} <= set(pool)
    best = [
        list(la.search(large, QUERIES, k=2, mode=m)[q]) for m in ("dense", "bm25") for q in QUERIES
    ]
    assert {id for ranking in best for id in ranking} <= set(pool)
    assert dev_pool(large, dict(reversed(QUERIES.items())), QRELS, size=22) == pool
    other = dev_pool(large, QUERIES, QRELS, size=22, seed=1)
    assert 0 < len(set(other) - set(pool)) <= 5


def test_a_pool_is_chosen_by_words_where_the_index_has_no_vectors(tmp_path):
    words = la.Index.build(documents(), tmp_path / "words", embedder=None)
    assert set(dev_pool(words, {"q": "dogs"}, {"q": {"d1": 1}}, size=2)) > {"d1"}


def test_a_pool_too_small_for_the_judged_is_refused(large):
    with pytest.raises(RetrievalError, match="cannot hold the 2 that are judged"):
        dev_pool(large, QUERIES, QRELS, size=1)


def test_no_model_is_measured_twice(dev, tmp_path):
    file = tmp_path / "values.json"
    first = Remembering()
    values = dev_values(dev, first, measure="nDCG@10", file=file)
    assert first.texts == len(QUERIES) + len(TEXTS)
    again = Remembering()
    assert dev_values(dev, again, measure="ndcg@10", file=file) == values
    assert again.texts == 0
    assert values == dev.values(la.embedder("fake"))


def test_what_changes_values_is_measured_again(index, dev, tmp_path):
    file = tmp_path / "values.json"
    dev_values(dev, Remembering(), measure="nDCG@10", file=file)
    fewer = DevSet.of(index, {"q1": QUERIES["q1"]}, QRELS)
    for other, embedder, measure in (
        (dev, Remembering(), "RR"),
        (dev, Remembering(query_prompt="query: "), "nDCG@10"),
        (dev, Remembering(document_prompt="passage: "), "nDCG@10"),
        (fewer, Remembering(), "nDCG@10"),
    ):
        dev_values(other, embedder, measure=measure, file=file)
        assert embedder.texts
    assert len(json.loads(file.read_bytes())) == 5


@pytest.mark.parametrize("wrong", ["", "[1]", '{"key": 1}', '{"key": {"q": "0.5"}}'])
def test_a_file_of_anything_else_is_refused(dev, tmp_path, wrong):
    file = tmp_path / "values.json"
    file.write_text(wrong)
    with pytest.raises(RetrievalError, match="delete it"):
        dev_values(dev, la.embedder("fake"), measure="nDCG@10", file=file)


def test_values_without_a_file_are_kept_nowhere(dev, tmp_path):
    values = dev_values(dev, la.embedder("fake"), measure="nDCG@10", file=None)
    assert list(values) == sorted(QUERIES)
    assert np.isfinite(list(values.values())).all()
    assert not list(tmp_path.iterdir())
