"""Filters over all training pairs: scores, repetitions, near-duplicates, pairs of a document."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmaug as la
from llmaug.errors import RetrievalError
from llmaug.steps.filters import normalised
from llmaug.training import near_duplicates
from llmaug.training.near_duplicates import without_near_duplicates
from llmaug.training.pairs import Pair
from llmaug.training.screening import (
    Screened,
    at_most,
    require_any,
    without_lowest,
    without_repeats,
)

FAKE = la.embedder("fake")

texts = st.lists(st.sampled_from(["kettle", "water", "dogs", "hair"]), min_size=1, max_size=3).map(
    " ".join
)
pairs = st.lists(
    st.builds(
        Pair,
        query_id=st.sampled_from("abcdef"),
        query=texts | texts.map(str.upper) | texts.map(lambda text: f"{text}?"),
        document_id=st.sampled_from("123"),
        score=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=12,
)
FILTERS: dict[str, Callable[[list[Pair]], Screened]] = {
    "repeats": without_repeats,
    "near": lambda given: without_near_duplicates(given, FAKE, max=0.8),
    "document": lambda given: at_most(given, 2),
}


def written(*queries: str, scores: tuple[float | None, ...] = ()) -> list[Pair]:
    """A pair for each query, each with a document of its own."""
    return [
        Pair(f"q{i}", query, f"d{i}", score=score)
        for i, (query, score) in enumerate(itertools.zip_longest(queries, scores))
    ]


@settings(deadline=None)
@given(pairs, st.sampled_from(sorted(FILTERS)))
def test_a_filter_accounts_for_every_pair_and_settles(given_pairs: list[Pair], name: str) -> None:
    kept, dropped = screen = FILTERS[name](given_pairs)
    assert Counter(kept) + Counter(pair for pair, _ in dropped) == Counter(given_pairs)
    for part in (kept, [pair for pair, _ in dropped]):
        rest = iter(given_pairs)
        assert all(pair in rest for pair in part)  # in the order they came in
    assert all(reason for _, reason in dropped)
    assert sum(screen.counts.values()) == len(dropped)
    assert FILTERS[name](kept) == (kept, [])


@given(pairs, st.floats(0, 1, exclude_max=True))
def test_the_lowest_share_is_dropped_and_no_more(given_pairs: list[Pair], share: float) -> None:
    scored = [pair for pair in given_pairs if pair.score is not None]
    kept, dropped = without_lowest(scored, share=share)
    assert Counter(kept) + Counter(pair for pair, _ in dropped) == Counter(scored)
    assert len(dropped) <= share * len(scored)
    assert bool(kept) == bool(scored)
    if dropped:
        assert max(pair.score or 0 for pair, _ in dropped) < min(pair.score or 0 for pair in kept)


def test_a_quarter_goes_by_default() -> None:
    screen = without_lowest(written(*"abcdefgh", scores=(3, 1, 4, 1.5, 9, 2, 6, 5)))
    assert [pair.query for pair in screen.kept] == ["a", "c", "e", "f", "g", "h"]
    assert screen.counts == {"score in the lowest 25%": 2}
    assert str(screen) == "6 of 8 pairs kept (dropped: score in the lowest 25% 2)"


def test_pairs_without_a_score_are_no_low_ones() -> None:
    with pytest.raises(RetrievalError) as error:
        without_lowest(written("a", "b", "c", scores=(1.0,)))
    assert "2 of 3 pairs have no score, the first with the query 'q1'" in str(error.value)


def test_the_best_of_equal_queries_is_kept_then_the_first() -> None:
    some = written("A kettle?", "a  kettle", "Dogs", "dogs!", "a KETTLE", scores=(0.2, 0.9))
    kept, dropped = without_repeats(some)
    assert [pair.query_id for pair in kept] == ["q1", "q2"]
    assert {reason for _, reason in dropped} == {"same query as another"}


def test_one_query_may_have_several_answers() -> None:
    human = [Pair("q", "a kettle", "d1"), Pair("q", "a kettle", "d2"), Pair("q", "a kettle", "d1")]
    assert without_repeats(human) == (human[:2], [(human[2], "same pair twice")])
    assert without_near_duplicates(human, FAKE).kept == human


@given(pairs)
def test_no_text_is_left_to_two_queries(given_pairs: list[Pair]) -> None:
    kept = without_repeats(given_pairs).kept
    asked = {(pair.query_id, pair.query) for pair in kept}
    assert len({normalised(query) for _, query in asked}) == len(asked)
    assert {normalised(p.query) for p in kept} == {normalised(p.query) for p in given_pairs}


@settings(deadline=None)
@pytest.mark.parametrize(("block", "compared"), [(1_024, 8_192), (2, 3), (1, 1)])
@given(given_pairs=pairs)
def test_kept_queries_are_apart_and_dropped_ones_are_not(
    block: int, compared: int, given_pairs: list[Pair]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "BLOCK", block)
        patch.setattr(near_duplicates, "COMPARED", compared)
        kept, dropped = without_near_duplicates(given_pairs, FAKE, max=0.8)
    assert (kept, dropped) == without_near_duplicates(given_pairs, FAKE, max=0.8)
    chosen = list({(pair.query_id, pair.query): pair for pair in kept}.values())
    if not chosen:
        assert not given_pairs
        return
    vectors = FAKE.encode([pair.query for pair in chosen])
    assert (vectors @ vectors.T - 2 * np.eye(len(vectors)) <= 0.8).all()
    for pair, _ in dropped:
        assert (vectors @ FAKE.encode([pair.query])[0] > 0.8).any()


def test_the_better_of_two_near_queries_is_kept() -> None:
    some = written("the kettle boils water now", "the kettle boils water", "dogs", scores=(1, 2, 0))
    kept, dropped = without_near_duplicates(some, FAKE, max=0.8)
    assert ([pair.query_id for pair in kept], dropped) == (
        ["q1", "q2"],
        [(some[0], "near-duplicate")],
    )


def test_a_document_keeps_its_best_queries() -> None:
    some = [Pair(str(i), str(i), "d", score=score) for i, score in enumerate((1, None, 3, 2))]
    kept, dropped = at_most([*some, Pair("x", "x", "other")], 2)
    assert [pair.query_id for pair in kept] == ["2", "3", "x"]
    assert {reason for _, reason in dropped} == {"more than 2 of a document"}


def test_filters_that_leave_nothing_say_what_they_dropped() -> None:
    first = without_repeats(written("a", "a", "b"))
    require_any(first)
    require_any()
    last = Screened([], [(pair, "generic") for pair in first.kept])
    with pytest.raises(RetrievalError) as error:
        require_any(first, last)
    assert "(generic 2, same query as another 1)" in str(error.value)
    with pytest.raises(RetrievalError, match="there were none to begin with"):
        require_any(Screened([], []))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: without_lowest([], share=1), "give a number from 0 below 1"),
        (lambda: without_lowest([], share=-0.1), "give a number from 0 below 1"),
        (lambda: without_near_duplicates([], FAKE, max=0), "give a number above 0, at most 1"),
        (lambda: without_near_duplicates([], FAKE, max=2), "give a number above 0, at most 1"),
        (lambda: at_most([], 0), "give 1 or more"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong: Callable[[], Screened], message: str) -> None:
    with pytest.raises(RetrievalError, match=message):
        wrong()
