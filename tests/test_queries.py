"""Reading and writing queries."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from llmaug.errors import OutputError, TextError
from llmaug.retrieval.queries import read_queries, write_queries

TOPICS = b"""<top>
<num> Number: 301
<title> organized
  crime
<desc> Description: what it is
</top>
<top>
<num>302</num>
<title>Topic: Polio</title>
</top>
"""


@pytest.mark.parametrize(
    ("name", "content", "queries"),
    [
        ("a.jsonl", b'{"_id": 7, "text": "one"}\r\n\r\n{"_id": "x", "text": "two"}\r\n', "7 x"),
        (
            "a.jsonl",
            b'\xef\xbb\xbf{"qid": "7", "query": "one"}\n{"qid": "x", "query": "two"}',
            "7 x",
        ),
        ("a.jsonl", b'{"query_id": 1, "title": "one"}\n{"query_id": 2, "title": "two"}\n', "1 2"),
        ("a.tsv", b"q1\tone\nq2\ttwo\n", "q1 q2"),
        ("a.tsv", b"q1\tone\r\nq2\ttwo\r\n\r\n", "q1 q2"),
        ("a.tsv", b"text\tid\none\tq1\ntwo\tq2\n", "q1 q2"),
        ("a.csv", b"id,question\nq1,one\nq2,two\n", "q1 q2"),
        ("a.txt", b"one\ntwo\n", "1 2"),
        ("a.tsv.gz", gzip.compress(b"q1\tone\nq2\ttwo\n"), "q1 q2"),
    ],
)
def test_formats_of_queries(tmp_path: Path, name: str, content: bytes, queries: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_queries(tmp_path / name) == dict(zip(queries.split(), ("one", "two"), strict=True))


@pytest.mark.parametrize("name", ["a.topics", "a.txt", "a.trec", "topics.301-302"])
def test_topics_are_read_by_their_title(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TOPICS)
    assert read_queries(tmp_path / name) == {"301": "organized crime", "302": "Polio"}


def test_quotes_in_tabbed_lines_are_characters(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('1\t"dog" or "cat\n2\t"\n')
    assert read_queries(tmp_path / "a.tsv") == {"1": '"dog" or "cat', "2": '"'}


@pytest.mark.parametrize("packed", [False, True])
def test_queries_of_a_beir_folder(tmp_path: Path, packed: bool) -> None:
    line = '{"_id": "ä", "text": "größer als 3?"}\n'.encode()
    name = "queries.jsonl.gz" if packed else "queries.jsonl"
    (tmp_path / name).write_bytes(gzip.compress(line) if packed else line)
    assert read_queries(tmp_path) == {"ä": "größer als 3?"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            '{"id": "1", "text": "a"}\n{"id": "1", "text": "b"}\n',
            ":2: the id '1' is also",
        ),
        (
            "a.jsonl",
            '{"id": "1", "text": "a"}\n{"id": "2", "text": " "}\n',
            ":2: the text in 'text'",
        ),
        ("a.jsonl", '{"id": "1", "text": null}\n', ":1: the field 'text' holds null"),
        ("a.jsonl", '{"id": "1 2", "text": "a"}\n', ":1: the id '1 2' holds white space"),
        ("a.jsonl", '{"id": "1", "txt": "a"}\n', ":1: no field 'text'"),
        ("a.jsonl", '{"text": "a"}\n', ":1: no field '_id'"),
        ("a.jsonl", '{"id": "1", "text": "a"}\n{"id": \n', ":2: "),
        ("a.jsonl", "", " holds no queries"),
        ("a.tsv", "1\tone\n2 two\n", ":2: 1 columns, not id<TAB>text"),
        ("a.tsv", "1\tone\ttwo\n", ":1: 3 columns"),
        ("a.tsv", "1\t\n", ":1: the text in 'text' is empty"),
        ("a.csv", "id,text\n", " holds no queries"),
        ("a.txt", "one\n\n", ":2: the text in 'text' is empty"),
    ],
)
def test_wrong_queries(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TextError) as raised:
        read_queries(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}{message}")
    assert "\n" not in str(raised.value)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"1\tone\n2\t\xff\n")
    with pytest.raises(TextError, match=r"a\.tsv:2: byte 3 of the row \(0xff\) is not UTF-8"):
        read_queries(tmp_path / "a.tsv")


def test_no_queries_there(tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("1\tone\n")
    with pytest.raises(
        TextError, match=r"querie\.tsv does not exist; did you mean .*queries\.tsv\?"
    ):
        read_queries(tmp_path / "querie.tsv")
    with pytest.raises(TextError, match=r"has no queries\.jsonl; name a file of queries"):
        read_queries(tmp_path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    queries = {"10": "line\nbreak", "9": "\ttab", "ä": '"quoted" 日本'}
    assert write_queries(tmp_path / name, queries) == 3
    assert list(read_queries(tmp_path / name).items()) == list(queries.items())


def test_queries_are_written_as_json_lines_only(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"end the name with \.jsonl"):
        write_queries(tmp_path / "a.tsv", {"1": "one"})
    assert not (tmp_path / "a.tsv").exists()
