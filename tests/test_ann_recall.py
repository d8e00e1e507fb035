"""What an index loses is measured against exact search, and never flattered."""

from __future__ import annotations

import numpy as np
import pytest

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.ann_exact import exact_answers
from llmaug.retrieval.ann_recall import measure_recall, out_of_reach, tune

faiss = pytest.importorskip("faiss", reason="needs the extra retrieval")
COUNT, DIMENSION = 3_000, 32


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS = unit(np.random.default_rng(0).standard_normal((COUNT, DIMENSION), dtype=np.float32))
QUERIES = unit(np.random.default_rng(1).standard_normal((50, DIMENSION), dtype=np.float32))


def rows_of(vectors):
    return lambda start, stop: vectors[start:stop]


def build(factory, vectors=VECTORS):
    count, dimension = vectors.shape
    return VectorIndex.build(rows_of(vectors), count, dimension, factory=factory, threads=1)


def answers(vectors=VECTORS, **options):
    return exact_answers(rows_of(vectors), *vectors.shape, **{"size": 100, "threads": 1} | options)


@pytest.mark.parametrize("block_bytes", [4 * DIMENSION * 7, 4 * DIMENSION * 1_000, 2**26])
def test_exact_answers_do_not_depend_on_the_blocks(monkeypatch, block_bytes):
    monkeypatch.setattr("llmaug.retrieval.ann_training.BLOCK_BYTES", block_bytes)
    vectors = VECTORS[:500]
    found = answers(vectors, queries=QUERIES, k=10)
    all_scores = QUERIES @ vectors.T
    assert (found.rows == np.argsort(-all_scores, axis=1)[:, :10]).all()
    np.testing.assert_allclose(found.worst, np.sort(all_scores, axis=1)[:, -10], atol=1e-6)


def test_a_sampled_document_is_not_its_own_neighbour():
    found = answers()
    assert found.of_documents
    assert not (found.rows == found.own[:, None]).any()
    assert not np.allclose(found.worst, 1)


@pytest.mark.parametrize("queries", [None, QUERIES])
@pytest.mark.parametrize("k", [1, 10, 5_000])
def test_the_recall_of_exact_search_is_one(queries, k):
    vectors = VECTORS[:400]
    measured = measure_recall(build("Flat", vectors), answers(vectors, queries=queries, k=k))
    assert measured.recall == 1
    assert measured.k == min(k, 399 if queries is None else 400)
    assert measured.per_second > 0


def test_the_recall_of_a_useless_index_is_none():
    """An index of other vectors returns rows, but not the right ones."""
    wrong = build("Flat", np.ascontiguousarray(VECTORS[::-1]))
    assert measure_recall(wrong, answers(queries=QUERIES)).recall < 0.05


def test_which_of_the_equal_documents_are_returned_does_not_matter():
    vectors = np.repeat(VECTORS[:50], 30, axis=0)
    backwards = faiss.index_factory(DIMENSION, "IDMap2,Flat", faiss.METRIC_INNER_PRODUCT)
    backwards.add_with_ids(np.ascontiguousarray(vectors[::-1]), np.arange(1_500)[::-1].copy())
    index, truth = VectorIndex(backwards, factory="IDMap2,Flat"), answers(vectors, queries=QUERIES)
    assert not np.isin(index.search(QUERIES[:1], 10)[1], truth.rows[0]).any()
    assert measure_recall(index, truth).recall == 1


def test_recall_equals_a_count_by_hand():
    index, truth = build("IVF16,Flat"), answers(queries=QUERIES)
    _, rows = index.search(QUERIES, 10, effort=3)
    both = zip(rows.tolist(), truth.rows.tolist(), strict=True)
    expected = np.mean([len(set(found) & set(true)) / 10 for found, true in both])
    assert measure_recall(index, truth, effort=3).recall == pytest.approx(expected)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "HNSW8", "PQ16x4fs,RFlat", "IVF16,SQ8"])
def test_more_effort_finds_more(factory):
    index, truth = build(factory), answers()
    recalls = [measure_recall(index, truth, effort=effort).recall for effort in (1, 4, 16)]
    assert recalls[0] <= recalls[1] + 0.01
    assert recalls[1] <= recalls[2] + 0.01
    assert recalls[0] <= recalls[2]


@pytest.mark.parametrize("factory", ["Flat", "IVF64,Flat", "HNSW16", "PQ16x4fs,RFlat"])
def test_tuning_reaches_the_recall_with_little_effort(factory):
    index, truth = build(factory), answers()
    own = index.effort
    tuned = tune(index, truth, min_recall=0.9)
    assert tuned.reached
    assert tuned.recall.recall >= 0.9
    assert index.effort == own
    if factory == "IVF64,Flat":
        assert measure_recall(index, truth, effort=tuned.recall.effort // 2).recall < 0.9


def test_coarse_codes_reach_a_recall_by_more_candidates():
    index = build("IVF256,PQ4x4fs,RFlat")
    low, high = (measure_recall(index, answers(), effort=effort).recall for effort in (64, 256))
    assert low < 0.8 < high


def test_a_recall_out_of_reach_is_said_with_the_best():
    index = build("IVF16,PQ4x4fs")
    tuned = tune(index, answers(), min_recall=0.99)
    assert not tuned.reached
    message = str(out_of_reach(tuned, index, min_recall=0.99))
    assert message.startswith("--min-recall 0.99 cannot be reached with IVF16,PQ4x4fs: best 0.")
    assert message.endswith("; try HNSW32 or IVF16,PQ4x4fs,RFlat")


def test_few_documents_can_be_measured_too():
    assert measure_recall(build("Flat", VECTORS[:1]), answers(VECTORS[:1])).recall == 1
    assert measure_recall(build("Flat", VECTORS[:2]), answers(VECTORS[:2])).k == 1


def test_recall_says_what_stood_in_for_queries():
    index = build("IVF16,Flat")
    assert "(100 sampled documents as queries)" in str(measure_recall(index, answers()))
    assert "(50 queries)" in str(measure_recall(index, answers(queries=QUERIES)))


@pytest.mark.parametrize("wrong", [QUERIES[:0], QUERIES[:, :5], QUERIES[0]])
def test_queries_that_do_not_fit_are_refused(wrong):
    with pytest.raises(RetrievalError, match="cannot measure the recall of 32 dimensions"):
        answers(queries=wrong)
