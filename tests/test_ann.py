"""FAISS indexes: exact where they claim to be, the same file twice, one line for every mistake."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from unit_vectors import COUNT, KINDS, QUERIES, VECTORS, build, rows_of

from llmaug.errors import RetrievalError

faiss = pytest.importorskip("faiss", reason="needs the extra retrieval")


def test_flat_equals_a_sort_of_all_inner_products():
    scores, rows = build().search(QUERIES, 10)
    all_scores = QUERIES @ VECTORS.T
    expected = np.argsort(-all_scores, axis=1)[:, :10]
    assert (rows == expected).all()
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64
    np.testing.assert_allclose(scores, np.take_along_axis(all_scores, expected, 1), atol=1e-6)


def test_flat_returns_the_best_scores_under_ties():
    vectors = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    scores, rows = build(vectors=vectors).search(np.eye(4, dtype=np.float32), 5)
    assert (scores == 1).all()
    assert [set(row) for row in rows.tolist()] == [set(range(5 * i, 5 * i + 5)) for i in range(4)]


@pytest.mark.parametrize("factory", KINDS)
def test_the_most_effort_finds_what_is_stored(factory):
    index = build(factory)
    _, rows = index.search(VECTORS[:50], 10, effort=index.largest_effort)
    found = (rows == np.arange(50)[:, None]).any(axis=1)
    assert found.mean() > 0.9


def test_a_search_leaves_the_index_as_it_was():
    index = build("IVF16,Flat")
    before, nprobe = index.search(QUERIES, 5), index.faiss_index.nprobe
    index.search(QUERIES, 5, effort=16)
    assert index.faiss_index.nprobe == nprobe
    assert (index.search(QUERIES, 5)[1] == before[1]).all()


def test_threads_hold_for_one_search_only():
    index, before = build(), faiss.omp_get_max_threads()
    index.search(QUERIES, 5, threads=before + 1)
    assert faiss.omp_get_max_threads() == before


def test_several_threads_may_search_at_once():
    index, answers = build("HNSW16"), {}

    def ask(number):
        answers[number] = index.search(QUERIES, 5, threads=1)[1]

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert all((answers[number] == answers[0]).all() for number in range(4))


def test_k_beyond_the_index_shrinks():
    scores, rows = build(vectors=VECTORS[:7]).search(QUERIES, 100)
    assert scores.shape == rows.shape == (25, 7)
    assert (np.sort(rows, axis=1) == np.arange(7)).all()


def test_what_an_approximate_search_misses_is_marked():
    scores, rows = build("IVF16,Flat").search(QUERIES, COUNT, effort=1)
    assert (rows == -1).any()
    assert (scores[rows == -1] == -np.inf).all()
    assert np.isfinite(scores[rows >= 0]).all()


@pytest.mark.parametrize("factory", ["Flat", "IDMap2,HNSW16", "IVF16,PQ16x4fs,RFlat"])
def test_rows_added_later_get_the_next_numbers(factory):
    index = build(factory, vectors=VECTORS[:1_500])
    index.add(rows_of(VECTORS), COUNT, threads=1)
    assert len(index) == COUNT
    _, rows = index.search(VECTORS[1_990:], 1, effort=index.largest_effort)
    assert rows[:, 0].tolist() == list(range(1_990, COUNT))


def test_a_kind_that_cannot_grow_says_so():
    index = build("NSG8", vectors=VECTORS[:300])
    assert index.search(VECTORS[:5], 1)[1][:, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(RetrievalError, match="NSG8 cannot take more vectors"):
        index.add(rows_of(VECTORS), 400)


@pytest.mark.parametrize("factory", ["", "Flt", "IVF,Flat", "HNSW-3", "HNSW0", "HNSW1", "HNSW9999",
    "IVF16_HNSW1,Flat", "IVF0,Flat", "PQ8x0", "PQ7", "OPQ7,PQ7", "IVF16,PQ5x4fs", "IVF16,PQ8x30",
    "HNSW16,PQ8", "LSH", "IMI2x4,PQ8"])  # fmt: skip
def test_what_is_no_index_description_is_one_line_with_examples(factory):
    with pytest.raises(RetrievalError) as caught:
        build(factory)
    message = str(caught.value)
    assert "\n" not in message
    assert "cpp" not in message
    assert message.startswith("not a FAISS index description") or "needs at least" in message


@pytest.mark.parametrize(
    ("factory", "count", "needed"),
    [("IVF4096,Flat", 500, "4,096"), ("PQ8", 100, "256"), ("IVF99999999999,Flat", 9, "99,999"),
     ("PQ8x12", 2_000, "4,096"), ("OPQ8,PQ8", 2_000, "9,984")],
)  # fmt: skip
def test_too_few_vectors_to_train_on_says_how_many(factory, count, needed):
    with pytest.raises(RetrievalError, match=f"needs at least {needed}.* there are {count:,}"):
        build(factory, vectors=VECTORS[:count])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("factory", ["Flat", "IVF16,Flat"])
def test_vectors_that_are_no_numbers_are_refused_by_row(factory, bad):
    vectors = VECTORS.copy()
    vectors[1_234, 5] = bad
    with pytest.raises(RetrievalError, match="row 1,234 holds NaN or infinity"):
        build(factory, vectors=vectors)
    with pytest.raises(RetrievalError, match="query number 2 holds NaN or infinity"):
        build().search(vectors[1_233:1_235], 3)


def test_huge_but_finite_values_are_not_taken_for_infinity():
    vectors = np.full((4, 4), 3e38, dtype=np.float32)
    assert len(build(vectors=vectors)) == 4


def test_an_index_of_another_embedder_is_told_by_its_dimension():
    with pytest.raises(RetrievalError, match="has 32 dimensions, the query vectors 24: another"):
        build().search(QUERIES[:, :24], 3)
    with pytest.raises(RetrievalError, match="there are no vectors to index"):
        build(vectors=VECTORS[:0])


@pytest.mark.parametrize(("k", "effort"), [(0, 1), (3, -1), (-1, None)])
def test_a_search_for_nothing_is_refused(k, effort):
    with pytest.raises(RetrievalError, match="must be at least 1, not"):
        build("IVF16,Flat").search(QUERIES, k, effort=effort)


def test_progress_counts_rows_and_people_can_read_the_index():
    seen = []
    index = build("IVF16,Flat", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (COUNT, COUNT)
    assert str(index) == "IVF16,Flat, 32 dimensions, 2,000 vectors, nprobe 1"
