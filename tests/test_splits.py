"""Setting dev queries aside."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.errors import PlanError, RetrievalError
from llmaug.training.pairs import Pair
from llmaug.training.splits import qrels_of, queries_of, split_dev


def pair(query, document, text=None):
    return Pair(query, text or f"words of {query}", document)


ALONE = [pair(f"q{n}", f"d{n}") for n in range(50)]


def ids(pairs):
    return {pair.query_id for pair in pairs}


@pytest.mark.parametrize(("asked", "count"), [({"share": 0.2}, 10), ({"count": 7}, 7)])
def test_as_many_queries_as_asked_for_are_set_aside(asked, count):
    train, dev = split_dev(ALONE, **asked)
    assert len(dev) == count
    assert len(train) == 50 - count
    assert train == [pair for pair in ALONE if pair not in dev]


def test_the_seed_decides_and_the_order_does_not():
    shuffled = random.Random(1).sample(ALONE, len(ALONE))
    assert ids(split_dev(shuffled, count=9).dev) == ids(split_dev(ALONE, count=9).dev)
    assert ids(split_dev(ALONE, count=9, seed=1).dev) != ids(split_dev(ALONE, count=9).dev)


def test_a_query_keeps_its_place_when_others_are_added():
    more = [*ALONE, *(pair(f"r{n}", f"e{n}") for n in range(50))]
    few, many = ids(split_dev(ALONE, share=0.2).dev), ids(split_dev(more, share=0.2).dev)
    assert len(few & many) >= 5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=5, max_size=60),
    st.integers(1, 12),
)
def test_no_document_of_a_dev_query_is_trained_on(links, count):
    pairs = [pair(f"q{query}", f"d{document}") for query, document in links]
    try:
        train, dev = split_dev(pairs, count=count)
    except RetrievalError:
        return
    assert not {p.document_id for p in train} & {p.document_id for p in dev}
    assert not ids(train) & ids(dev)
    assert len(train) + len(dev) == len(pairs)
    assert 1 <= len(ids(dev)) <= count


def test_what_a_document_links_at_any_distance_stays_together():
    chain = [pair(f"c{n}", f"e{n + step}") for n in range(5) for step in (0, 1)]
    for seed in range(8):
        dev = ids(split_dev([*ALONE, *chain], share=0.3, seed=seed).dev)
        assert len([query for query in dev if query[0] == "c"]) in (0, 5)


def test_queries_of_the_same_words_stay_together():
    same = [
        pair(f"s{n}", f"e{n}", "Water  in the kettle" if n else "water in the KETTLE")
        for n in (0, 1)
    ]
    for by_document in (True, False):
        for seed in range(8):
            dev = ids(split_dev([*ALONE, *same], count=20, seed=seed, by_document=by_document).dev)
            assert len(dev & {"s0", "s1"}) in (0, 2)


def test_one_document_for_all_splits_by_query_only():
    same = [pair(f"q{n}", "d") for n in range(10)]
    with pytest.raises(RetrievalError, match=r"10 queries in 1 groups.*by_document=False"):
        split_dev(same, count=3)
    assert len(split_dev(same, count=3, by_document=False).dev) == 3


@pytest.mark.parametrize(
    "asked", [{}, {"share": 0.1, "count": 3}, {"share": 0.0}, {"share": 1.0}, {"count": 0}]
)
def test_numbers_that_split_nothing_are_refused(asked):
    with pytest.raises(PlanError, match="dev"):
        split_dev(ALONE, **asked)


@pytest.mark.parametrize(("pairs", "asked"), [([], {"share": 0.5}), (ALONE, {"count": 50})])
def test_a_split_without_one_of_its_sides_is_refused(pairs, asked):
    with pytest.raises(RetrievalError, match="do not split"):
        split_dev(pairs, **asked)


def test_pairs_are_queries_with_judgements():
    pairs = [pair("q1", "d1"), pair("q1", "d2"), pair("q2", "d1")]
    assert queries_of(pairs) == {"q1": "words of q1", "q2": "words of q2"}
    assert qrels_of(pairs) == {"q1": {"d1": 1, "d2": 1}, "q2": {"d1": 1}}


def test_an_id_of_two_queries_is_refused():
    pairs = [Pair("q", "one", "d1"), Pair("q", "one", "d2"), Pair("q", "another", "d3")]
    with pytest.raises(RetrievalError, match="'q' is that of 'one' and of 'another'"):
        queries_of(pairs)
