"""Mined pairs: to a file and back, and what is refused."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import TextError
from llmaug.training.mined import (
    SOURCES,
    MinedPair,
    Negative,
    Scores,
    mined_line,
    read_mined,
    write_mined,
)
from llmaug.training.pairs import Pair

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
shares = st.none() | st.floats(0, 1)
scores = st.builds(Scores, numbers, numbers, shares)
negatives = st.builds(Negative, words, st.sampled_from(SOURCES), st.integers(0, 999), scores)
mined_pairs = st.builds(
    MinedPair,
    st.builds(Pair, words, words, words, score=numbers),
    scores,
    st.lists(negatives, max_size=3).map(tuple),
)


@given(st.lists(mined_pairs, max_size=3))
def test_mined_pairs_come_back_from_a_file_as_they_were(tmp_path_factory, mined):
    path = tmp_path_factory.mktemp("mined") / "mined.jsonl"
    assert write_mined(path, iter(mined)) == len(mined)
    assert list(read_mined(path)) == mined


def line(**changed):
    one = MinedPair(Pair("q", "one", "d"), Scores(), (Negative("n", "dense", 1),))
    return orjson.dumps(orjson.loads(mined_line(one)) | changed).decode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("{", "not JSON"),
        ("3", "a mined pair is a JSON object"),
        (line(query=None), "'query' is None"),
        (line(negatives=None), "'negatives' is no list"),
        (line(negatives=[1]), "'negatives' is no list"),
        (line(negatives=[{"document_id": "n", "source": "guess", "rank": 1}]), "is no negative"),
        (line(negatives=[{"document_id": "n", "source": "dense", "rank": -1}]), "is no negative"),
        (line(negatives=[{"document_id": "n", "source": "dense", "rank": True}]), "is no negative"),
        (line(negatives=[{"source": "dense", "rank": 1}]), "is no negative"),
        (line(scores={"dense": "near"}), "the score 'dense' is 'near'"),
        (line(scores={"teacher": True}), "the score 'teacher' is True"),
        (line(scores={"teacher": 1.5}), "the score 'teacher' is 1.5, not between 0 and 1"),
    ],
)
def test_a_line_that_is_no_mined_pair_is_named(tmp_path, wrong, said):
    path = tmp_path / "mined.jsonl"
    path.write_text(f"{line()}\n\n{wrong}\n")
    with pytest.raises(TextError, match=r"mined\.jsonl:3: ") as refused:
        list(read_mined(path))
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TextError, match=r"gone\.jsonl cannot be read"):
        list(read_mined(tmp_path / "gone.jsonl"))


def test_scores_that_are_absent_are_unknown(tmp_path):
    path = tmp_path / "mined.jsonl"
    path.write_text(line(scores=None) + "\n")
    assert [one.scores for one in read_mined(path)] == [Scores()]


def test_a_mined_file_is_not_there_after_an_error(tmp_path):
    def broken():
        yield MinedPair(Pair("q", "one", "d"), Scores(), ())
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        write_mined(tmp_path / "mined.jsonl", broken())
    assert not list(tmp_path.iterdir())
