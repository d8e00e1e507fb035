"""Training pairs: from judgements, to a file and back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmaug as la
from llmaug.errors import TextError
from llmaug.training.pairs import ORIGINS, Pair, pairs_of, read_pairs, write_pairs

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
some_pairs = st.lists(
    st.builds(Pair, words, words, words, st.sampled_from(ORIGINS), words, numbers), max_size=4
)


@given(some_pairs)
def test_pairs_come_back_from_a_file_as_they_were(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    assert write_pairs(path, pairs) == len(pairs)
    assert read_pairs(path) == pairs


def test_judgements_are_pairs_where_the_grade_is_above_zero():
    collection = la.Collection(
        "small", [], {"q": "one", "r": "two"}, {"q": {"a": 1, "b": 0, "c": 2}, "gone": {"a": 1}}
    )
    assert pairs_of(collection) == [
        Pair("q", "one", "a", "human"),
        Pair("q", "one", "c", "human"),
    ]


RIGHT = '{"query_id": "q", "query": "one", "document_id": "d"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "2: not JSON"),
        ("[1]", "2: a pair is a JSON object"),
        ('{"query_id": "q", "document_id": "d"}', "2: 'query' is None"),
        ('{"query_id": 3, "query": "one", "document_id": "d"}', "2: 'query_id' is 3"),
        ('{"query_id": "q", "query": "", "document_id": "d"}', "2: 'query' is ''"),
        (RIGHT[:-1] + ', "origin": "robot"}', "2: 'origin' is 'robot'"),
        (RIGHT[:-1] + ', "score": true}', "2: 'score' is True"),
        (RIGHT[:-1] + ', "score": "high"}', "2: 'score' is 'high'"),
        (RIGHT[:-1] + ', "made_by": 1}', "2: 'made_by' is 1"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, said):
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{RIGHT}\n{line}\n")
    with pytest.raises(TextError, match=r"pairs\.jsonl:") as refused:
        read_pairs(path)
    assert said in str(refused.value)


def test_blank_lines_and_other_fields_are_left_out(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(f'\n{RIGHT[:-1]}, "note": 1}}\n\n')
    assert read_pairs(path) == [Pair("q", "one", "d")]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TextError, match=r"gone\.jsonl cannot be read"):
        read_pairs(tmp_path / "gone.jsonl")
