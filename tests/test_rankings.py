"""Run files: what is read, what is written, and what cannot be."""

from __future__ import annotations

import gzip
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import LlmaugError, OutputError, RetrievalError, TextError
from llmaug.retrieval.measure import evaluate
from llmaug.retrieval.rankings import Rankings, ranked, read_rankings, write_rankings

ids = st.text(
    st.characters(exclude_categories=["Cs", "Z"], exclude_characters="\0\ufeff\x85"), min_size=1
).filter(lambda id: id.split() == [id])
rankings_to_write = st.dictionaries(
    ids,
    st.dictionaries(ids, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.trec"


def test_lines_may_be_scattered_and_ranks_wrong(file: Path) -> None:
    file.write_bytes(
        b"\xef\xbb\xbfq1 Q0 a 9 0.5 x\r\nq2\tQ0\tc\t1\t-1e3\tx\n\nq1 Q0 b 1 3 x\nq1 Q0 c 0 0.5 x"
    )
    rankings = read_rankings(file)
    assert rankings == {"q1": {"b": 3.0, "c": 0.5, "a": 0.5}, "q2": {"c": -1000.0}}
    assert list(rankings["q1"]) == ["b", "c", "a"]


def test_a_packed_file_is_read(file: Path) -> None:
    packed = file.with_suffix(".gz")
    packed.write_bytes(gzip.compress(b"q1 Q0 a 1 0.5 x\n"))
    assert read_rankings(packed) == {"q1": {"a": 0.5}}


def test_a_file_of_many_blocks_is_read_in_whole(file: Path) -> None:
    wanted = {
        f"q{query}": {f"d{id:05}": 1.0 - id / 4096 for id in range(1000)} for query in range(9)
    }
    assert write_rankings(file, wanted) == 9000
    assert read_rankings(file) == wanted


GOOD = "q1 Q0 a 1 0.5 x\n"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("q1 0 a 1\n", 1, "4 columns, a run file has 6: query id, Q0, document id, rank, score"),
        ("q1 0 a 1\n", 1, "it looks like qrels"),
        ("q1 Q0 a 1 2.0 t\nq1 Q0 b 2", 2, "the last line is cut off: it has 4 of the 6 columns"),
        ("q1 Q0 a 1 2.0 t\nq1 Q0 b 2\n", 2, "it looks like qrels"),
        (GOOD + "q1 Q0 b c 2 0.4 x\n", 2, "7 columns"),
        (GOOD + "q1 Q0 b 2 0.4\nx q1 Q0 c 3 0.3 x\n", 2, "5 columns"),
        (GOOD + "\nq1 Q0 b 2 high x\n", 3, "the score 'high' is not a finite number"),
        (GOOD + "q1 Q0 b 2 nan x\n", 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 -inf x\n", 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 1e999 x\n", 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 1_0 x\n", 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 true x\n", 2, "not a finite number"),
        (GOOD + 'q1 Q0 b 2 "5" x\n', 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 1,2 x\n", 2, "not a finite number"),
        (GOOD + "q1 Q0 b 2 [1 x\nq1 Q0 c 3 2] x\n", 2, "not a finite number"),
        (
            GOOD + "q2 Q0 a 1 1 x\n" + GOOD,
            3,
            "'a' is in the ranking of query 'q1' already, at line 1",
        ),
        (GOOD + "q1 Q0 \udcff 2 0.4 x\n", 2, "is not UTF-8"),
        (GOOD + "q1 Q0 b\0 2 0.4 x\n", 2, "NUL"),
        (GOOD * 1 + "q1 Q0 \0 2 0.4 x\n", 2, "NUL"),
    ],
)
def test_a_wrong_line_is_named(file: Path, content: str, line: int, message: str) -> None:
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(TextError) as error:
        read_rankings(file)
    assert str(error.value).startswith(f"{file}:{line}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_second_of_two_is_named_far_down_a_file(file: Path) -> None:
    lines = [f"q{number % 7} Q0 d{number} 1 {-number} x\n" for number in range(5000)]
    file.write_text("".join([*lines, "q3 Q0 d3 1 0.5 x\n"]))
    with pytest.raises(TextError, match=r":5001: document 'd3' .* at line 4; "):
        read_rankings(file)


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_a_file_without_rankings_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(TextError, match="holds no rankings"):
        read_rankings(file)


def test_a_missing_or_broken_file_is_one_line(file: Path) -> None:
    with pytest.raises(TextError, match="cannot be read"):
        read_rankings(file)
    packed = file.with_suffix(".gz")
    packed.write_bytes(gzip.compress(GOOD.encode() * 99)[:-9])
    with pytest.raises(TextError, match="cut off"):
        read_rankings(packed)


@given(rankings_to_write, st.sampled_from(["run.trec", "run.trec.gz"]))
def test_what_is_written_is_read_back(rankings: Rankings, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        assert write_rankings(path, rankings) == sum(map(len, rankings.values()))
        back = read_rankings(path)
    assert back == rankings
    assert [list(ranking) for ranking in back.values()] == [
        ranked(ranking) for ranking in rankings.values()
    ]
    qrels = {query: {min(ranking): 1, "-": 0} for query, ranking in rankings.items()}
    names = ("nDCG@3", "MAP", "MRR@2", "Judged@3")
    assert evaluate(back, qrels, names) == evaluate(rankings, qrels, names)


def test_ranks_and_digits_of_a_written_file(file: Path) -> None:
    third = np.float32(1 / 3)
    given: Any = {"q": {"a": 1, "b": third, "c": np.float64(2.5), "d": np.int64(1)}, "empty": {}}
    assert write_rankings(file, given, tag="mine") == 4
    written = [line.split() for line in file.read_text().splitlines()]
    assert [line[2:4] for line in written] == [["c", "1"], ["d", "2"], ["a", "3"], ["b", "4"]]
    assert {(line[0], line[1], line[5]) for line in written} == {("q", "Q0", "mine")}
    assert np.float32(written[3][4]) == third


@pytest.mark.parametrize(
    ("rankings", "tag"),
    [
        ({"q 1": {"a": 1.0}}, "x"),
        ({"q1": {"a\tb": 1.0}}, "x"),
        ({"q1": {"a\u3000b": 1.0}}, "x"),
        ({"q1": {"": 1.0}}, "x"),
        ({"q1": {"a\0": 1.0}}, "x"),
        ({"q1": {"\ud800": 1.0}}, "x"),
        ({"\ufeffq1": {"a": 1.0}}, "x"),
        ({"q1": {7: 1.0}}, "x"),
        ({"q1": {"a": 1.0}}, "two words"),
        ({"q1": {"a": math.nan}}, "x"),
        ({"q1": {"a": math.inf}}, "x"),
        ({"q1": {"a": "0.5"}}, "x"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(file: Path, rankings: Any, tag: str) -> None:
    file.write_text("as it was")
    with pytest.raises(LlmaugError) as error:
        write_rankings(file, rankings, tag=tag)
    assert "\n" not in str(error.value)
    assert file.read_text() == "as it was"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_score_that_is_no_number_has_no_place() -> None:
    with pytest.raises(RetrievalError, match="NaN"):
        ranked({"a": math.nan})
    with pytest.raises(RetrievalError, match="'b' is not a number"):
        ranked({"a": 1.0, "b": math.nan, "c": 0.0})
    assert ranked({}) == []


def test_a_folder_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="make it first"):
        write_rankings(tmp_path / "no" / "run.trec", {"q": {"a": 1.0}})
