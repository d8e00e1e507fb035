"""The best of many scores, in the order of trec_eval: score, then id, both descending."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.retrieval.top import settle, tie_ranks, top

# Few different scores, so that most documents tie; -0.0 and 0.0 are the same score.
SCORES = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 0.5, 1e30])
IDS = st.lists(
    st.text(alphabet=st.sampled_from("aAz09-é中\U0001f600\uffff"), min_size=1, max_size=4),
    unique=True,
    min_size=1,
    max_size=40,
)


def by_brute_force(scores, ids) -> list[int]:
    """Positions sorted by the rule itself, on the bytes of the ids."""
    order = range(len(scores))
    return sorted(order, key=lambda i: (scores[i], ids[i].encode()), reverse=True)


@settings(deadline=None)
@given(IDS)
def test_tie_ranks_number_the_ids_from_the_last_in_byte_order(ids):
    by_rank = [ids[i] for i in np.argsort(tie_ranks(ids))]
    assert by_rank == sorted(ids, key=str.encode, reverse=True)


@settings(deadline=None)
@given(IDS, st.integers(0, 50), st.data())
def test_top_is_the_head_of_a_full_sort(ids, k, data):
    scores = data.draw(st.lists(SCORES, min_size=len(ids), max_size=len(ids)))
    best = top(np.array(scores, dtype=np.float32), k, tie_ranks(ids))
    assert best.tolist() == by_brute_force(scores, ids)[:k]


@settings(deadline=None)
@given(IDS, st.integers(0, 50), st.data())
def test_top_among_some_positions_is_the_head_of_their_sort(ids, k, data):
    scores = data.draw(st.lists(SCORES, min_size=len(ids), max_size=len(ids)))
    some = sorted(data.draw(st.sets(st.integers(0, len(ids) - 1))))
    among = np.array(some, dtype=np.int64)
    few = np.array(scores, dtype=np.float32)[among]
    best = top(few, k, tie_ranks(ids), among=among)
    assert best.tolist() == [i for i in by_brute_force(scores, ids) if i in some][:k]


@settings(deadline=None)
@given(IDS, st.integers(0, 50), st.data())
def test_settled_blocks_are_each_the_head_of_a_full_sort(ids, k, data):
    orders = st.permutations(range(len(ids)))
    rows = np.array(data.draw(st.lists(orders, min_size=1, max_size=3)), dtype=np.int64)
    # Scores in any order, not only as FAISS gives them.
    scores = np.array([[data.draw(SCORES) for _ in ids] for _ in rows], dtype=np.float32)
    settled = settle(scores, rows, tie_ranks(ids), k)
    for query, row in enumerate(rows):
        wanted = [row[i] for i in by_brute_force(scores[query], [ids[i] for i in row])][:k]
        score_of = dict(zip(row, scores[query], strict=True))
        assert settled.positions[query].tolist() == wanted
        assert settled.scores[query].tolist() == [score_of[i] for i in wanted]


def test_ties_at_the_cut_go_to_the_last_id_wherever_it_stands():
    ids = [f"d{number:04}" for number in range(1000)]
    best = top(np.ones(1000, dtype=np.float32), 3, tie_ranks(ids))
    assert [ids[i] for i in best] == ["d0999", "d0998", "d0997"]


def test_rows_in_their_final_order_are_only_cut():
    scores = np.array([[0.9, 0.8, 0.7], [0.5, 0.4, 0.3]], dtype=np.float32)
    rows = np.array([[2, 0, 1], [1, 2, 0]])
    settled = settle(scores, rows, tie_ranks(["a", "b", "c"]), 2)
    assert settled.positions.tolist() == [[2, 0], [1, 2]]
    assert np.shares_memory(settled.scores, scores)


def test_settling_leaves_what_it_was_given_as_it_was():
    scores = np.array([[0.5, 0.5]], dtype=np.float32)
    rows = np.array([[0, 1]])
    settled = settle(scores, rows, tie_ranks(["a", "b"]), 2)
    assert settled.positions.tolist() == [[1, 0]]
    assert rows.tolist() == [[0, 1]]


@pytest.mark.parametrize("padding", [-3.4028235e38, 0.5, 7.0])
def test_places_that_a_search_left_empty_come_last(padding):
    scores = np.array([[0.5, 0.5, padding, padding]], dtype=np.float32)
    rows = np.array([[0, 1, -1, -1]])
    settled = settle(scores, rows, tie_ranks(["a", "b"]), 3)
    assert settled.positions.tolist() == [[1, 0, -1]]


def test_nothing_found_is_settled_too():
    empty = settle(np.empty((2, 0), np.float32), np.empty((2, 0), np.int64), tie_ranks(["a"]), 5)
    assert empty.positions.shape == empty.scores.shape == (2, 0)
