"""Leakage: training queries that are too close to queries of the test."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmaug as la
from llmaug.errors import RetrievalError
from llmaug.steps.word_runs import runs, words
from llmaug.training.leakage import (
    leaks,
    refuse_leakage,
    without_leaks,
    without_test_documents,
)
from llmaug.training.pairs import Pair

FAKE = la.embedder("fake")
TEST = {
    "t1": "Zinc shortens the common cold by two days.",
    "t2": "Which kettle boils a litre of water in less than two minutes?",
    "t3": "heart attack",
}


def way(query: str, *, run: int = 8, **options: object) -> tuple[str, str] | None:
    """Which test query a training query is too close to, and how."""
    found = leaks([Pair("q", query, "d")], TEST, run=run, **options).leaks  # type: ignore[arg-type]
    return (found[0].test_id, found[0].way) if found else None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("zinc shortens the COMMON cold, by two days", ("t1", "same words")),
        ("Heart attack!", ("t3", "same words")),
        ("attack heart", ("t3", "nearly the same words")),
        ("heart attack in women", None),
        ("heart", None),
        (
            "tell me: which kettle boils a litre of water in the end",
            ("t2", "a run of 8 words"),
        ),
        ("which kettle boils a litre of milk", None),
        ("Zinc lengthens the common cold by two days", None),  # 7 of 9 words
        ("Zinc shortens the common cold by two short days", ("t1", "nearly the same words")),
        ("By two days zinc shortens the cold", ("t1", "nearly the same words")),
        ("", None),
        ("🙂", None),
    ],
)
def test_words_that_leak(query: str, found: tuple[str, str] | None) -> None:
    assert way(query) == found


def test_an_embedding_finds_what_words_do_not() -> None:
    query = "kettle kettle litre water boils two minutes which less"
    assert way(query) is None
    assert way(query, embedder=FAKE, min_cosine=0.5) == ("t2", "embedding")
    assert way(query, embedder=FAKE, min_cosine=0.999) is None
    # Words come first where both are true.
    assert way("heart attack", embedder=FAKE) == ("t3", "same words")
    assert way("zebra", embedder=FAKE) is None


def test_a_shorter_run_finds_more() -> None:
    assert way("which kettle boils a litre of milk", run=6) == ("t2", "a run of 6 words")


word = st.sampled_from(list("abcdefghij"))
sentences = st.lists(word, max_size=12).map(" ".join)


@settings(max_examples=300)
@given(st.lists(sentences, max_size=6), st.lists(sentences, max_size=6), st.integers(2, 5))
def test_what_leaks_is_what_comparing_all_with_all_finds(
    asked: list[str], tests: list[str], run: int
) -> None:
    def close(one: list[str], other: list[str]) -> bool:
        common = set(runs(one, run)) & set(runs(other, run))
        both, either = len(set(one) & set(other)), len(set(one) | set(other))
        return bool(one and other and (one == other or common or both * 5 >= either * 4))

    pairs = [Pair(str(i), query, "d") for i, query in enumerate(asked)]
    known = {f"t{i}": query for i, query in enumerate(tests)}
    found = leaks(pairs, known, run=run)
    assert {leak.query_id for leak in found.leaks} == {
        pair.query_id
        for pair in pairs
        if any(close(words(pair.query), words(test)) for test in tests)
    }
    for leak in found.leaks:
        assert close(words(leak.query), words(known[leak.test_id]))
    kept, dropped = without_leaks(pairs, found)
    assert Counter(kept) + Counter(pair for pair, _ in dropped) == Counter(pairs)
    assert not leaks(kept, known, run=run).leaks
    assert without_leaks(kept, found) == (kept, [])


def test_leakage_is_counted_by_way_and_refused() -> None:
    pairs = [
        Pair("q1", "heart attack", "d1"),
        Pair("q1", "heart attack", "d2"),
        Pair("q2", "Attack: heart", "d3"),
        Pair("q3", "dogs", "d1"),
    ]
    found = leaks(pairs, TEST, qrels={"t3": {"d1": 1, "d2": 0}})
    assert str(found) == (
        "2 of 3 training queries are too close to one of 3 test queries (same words 1, nearly the "
        "same words 1); 2 of 4 pairs have a document that answers one"
    )
    assert without_leaks(pairs, found).counts == {
        "leak: same words": 2,
        "leak: nearly the same words": 1,
    }
    with pytest.raises(RetrievalError) as error:
        refuse_leakage(found)
    said = str(error.value)
    assert said.startswith(str(found))
    assert "“heart attack” is like “heart attack” (same words); “Attack: heart” is like" in said
    assert said.endswith("--allow-leakage")
    assert "\n" not in said


def test_documents_of_the_test_alone_are_not_refused() -> None:
    found = leaks([Pair("q", "dogs", "d1")], TEST, qrels={"t3": {"d1": 1}}, embedder=FAKE)
    assert (found.on_test_documents, found.leaks) == (1, ())
    refuse_leakage(found)
    refuse_leakage(leaks([], {}, embedder=FAKE))


def test_many_examples_are_cut_and_line_breaks_shown() -> None:
    pairs = [Pair(f"q{i}", "heart\nattack", "d") for i in range(9)]
    with pytest.raises(RetrievalError) as error:
        refuse_leakage(leaks(pairs, TEST))
    assert str(error.value).count("is like") == 3
    assert "\n" not in str(error.value)


def test_sources_leave_out_what_answers_the_test_and_its_twins() -> None:
    documents = [
        la.Text("zinc helps", "d1", "d1", "", {"title": "Colds"}),
        la.Text("dogs", "d2", "d2"),
        la.Text("Zinc helps.", "d3", "d3", "", {"title": "COLDS"}),
        la.Text("zinc helps", "d4", "d4"),
    ]
    sources = without_test_documents(documents, {"t": {"d1": 1, "d2": 0}})
    assert [source.id for source in sources] == ["d2", "d4"]
    assert list(without_test_documents(documents, {})) == documents


@pytest.mark.parametrize("options", [{"run": 0}, {"min_cosine": 0}, {"min_cosine": 1.5}])
def test_bounds_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(RetrievalError, match="cannot be found; give a run of 1 or more"):
        leaks([], {}, **options)  # type: ignore[arg-type]
