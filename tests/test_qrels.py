"""Judgements: TREC and BEIR files, what they hold and what is refused."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import OutputError, TextError
from llmaug.retrieval.qrels import Qrels, read_qrels, write_qrels

HEADER = "query-id\tcorpus-id\tscore\n"
ids = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1
).filter(lambda id: id.split() == [id])
qrels_to_write = st.dictionaries(
    ids,
    st.dictionaries(ids, st.integers(-1_000_000, 1_000_000), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    "content",
    [
        "q1 0 a 2\nq1 0 b -1\nq2 Q0 a 0\n",
        "\ufeffq1\t0\ta\t2\r\nq1\t0\tb\t-1\r\n\r\nq2\t0\ta\t0",
        HEADER + "q1\ta\t2\nq1\tb\t-1\nq2\ta\t0\n",
        "\ufeffQuery-ID\tCorpus_ID \t Score\r\nq1\ta\t2\r\nq1\tb\t-1\r\nq2\ta\t0\r\n",
        "\nquery_id corpus_id score\nq1 a 2.0\nq1 b -1\nq2 a +0\n",
        "q1 0 a 2\nq1 0 b -1\nq1 1 a 2\nq2 0 a 0\n",
    ],
)
def test_trec_and_beir_files_are_told_apart(tmp_path: Path, content: str) -> None:
    wanted = {"q1": {"a": 2, "b": -1}, "q2": {"a": 0}}
    file, packed = tmp_path / "qrels.txt", tmp_path / "qrels.tsv.gz"
    file.write_bytes(content.encode())
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_qrels(file) == wanted
    assert read_qrels(packed) == wanted


def test_beir_ids_may_hold_spaces_and_quotes(tmp_path: Path) -> None:
    file = tmp_path / "test.tsv"
    file.write_text(HEADER + 'q 1\t"the ""best"" one"\t1\n')
    assert read_qrels(file) == {"q 1": {'the "best" one': 1}}


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("q1 0 a 1\nq1 0 b relevant\n", 2, "the grade 'relevant' is not a whole number"),
        ("q1 0 a 1\n\nq1 0 b 1.5\n", 3, "the grade '1.5' is not a whole number"),
        ("q1 0 a nan\n", 1, "not a whole number"),
        ("q1 0 a 1_0\n", 1, "not a whole number"),
        ("q1 0 a 2147483648\n", 1, "not a whole number up to 1,000,000"),
        (HEADER + "q1\ta\thigh\n", 2, "the grade 'high' is not a whole number"),
        ("q1 0 a 1\nq1 0 a 2\n", 2, "'a' has the grade 1 for query 'q1' already and here 2"),
        ("q1 Q0 a 1 0.5 x\n", 1, "6 columns, not 4 (query id, iteration, document id, grade); it"),
        ("q1 Q0 a 1 0.5 x\n", 1, "looks like rankings (a TREC run file)"),
        ("q1\ta\t1\n", 1, "a BEIR file needs its header: query-id<TAB>corpus-id<TAB>score"),
        (HEADER + "q1\ta\n", 2, "2 columns, not 3 (query-id, corpus-id, score)"),
        (HEADER + 'q1\t"a\t1\n', 2, "not tab-separated"),
        (HEADER + "q1\t\t1\n", 2, "the id is empty"),
        ("q1 0 \udcff 1\n", 1, "is not UTF-8"),
        ("q1 0 a\0 1\n", 1, "NUL"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, line: int, message: str) -> None:
    file = tmp_path / "qrels.txt"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(TextError) as error:
        read_qrels(file)
    assert str(error.value).startswith(f"{file}:{line}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "\n\n", HEADER])
def test_a_file_without_judgements_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "qrels.txt"
    file.write_text(content)
    with pytest.raises(TextError, match="holds no judgements"):
        read_qrels(file)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="cannot be read"):
        read_qrels(tmp_path / "none.tsv")


@given(qrels_to_write, st.sampled_from(["test.tsv", "qrels.txt", "TEST.TSV.gz", "a.qrels.gz"]))
def test_what_is_written_is_read_back(qrels: Qrels, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        assert write_qrels(path, qrels) == sum(map(len, qrels.values()))
        assert read_qrels(path) == qrels


@pytest.mark.parametrize(
    ("name", "content"),
    [("test.tsv", HEADER + "q\ta\t1\nq\tb\t2\n"), ("qrels.txt", "q 0 a 1\nq 0 b 2\n")],
)
def test_the_ending_says_the_format(tmp_path: Path, name: str, content: str) -> None:
    given: Any = {"q": {"a": True, "b": np.int64(2)}, "none": {}}
    assert write_qrels(tmp_path / name, given) == 2
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize(
    "qrels",
    [
        {"q 1": {"a": 1}},
        {"q1": {"a\nb": 1}},
        {"q1": {3: 1}},
        {"q1": {"a": 1.5}},
        {"q1": {"a": "1"}},
        {"q1": {"a": 2**40}},
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path: Path, qrels: Any) -> None:
    with pytest.raises(OutputError) as error:
        write_qrels(tmp_path / "test.tsv", qrels)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
