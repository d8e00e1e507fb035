"""Reading files of texts: every format, fields, ids and streaming."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from llmaug.errors import TextError
from llmaug.text import Text, read

ROWS = [{"id": "a", "text": "one", "label": 1}, {"id": "b", "text": "two", "label": 2}]
TEXTS = [Text("one", "a", "a", meta={"label": 1}), Text("two", "b", "b", meta={"label": 2})]
TOPICS = """\
<top>
<num> Number: 301
<title> International Organized
  Crime

<desc> Description:
Identify organizations <b> that
take part.
<narr> Narrative:
A relevant document names one.
</top>

<top>

<num>302</num>
<title>Topic: Polio</title>
</top>
"""


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[dict[str, Any]]) -> Any:
    return pyarrow.Table.from_pylist(rows)


def save_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(table(ROWS), path)


def save_dataset(path: Path) -> None:
    datasets.Dataset(table(ROWS)).save_to_disk(str(path))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("x.jsonl", lambda path: path.write_bytes(jsonl(ROWS))),
        ("x.NDJSON", lambda path: path.write_bytes(b"\xef\xbb\xbf" + jsonl(ROWS))),
        ("x.jsonl.gz", lambda path: path.write_bytes(gzip.compress(jsonl(ROWS)))),
        (
            "x.jsonl.gz",
            lambda path: path.write_bytes(
                gzip.compress(jsonl(ROWS[:1])) + gzip.compress(jsonl(ROWS[1:]))
            ),
        ),
        ("x.jsonl.zst", lambda path: path.write_bytes(zstandard.compress(jsonl(ROWS)))),
        (
            "x.jsonl.zst",
            lambda path: path.write_bytes(
                zstandard.compress(jsonl(ROWS[:1])) + zstandard.compress(jsonl(ROWS[1:]))
            ),
        ),
        ("x.parquet", save_parquet),
        ("folder", save_dataset),
    ],
)
def test_every_format_gives_the_same_texts(
    tmp_path: Path, name: str, save: Callable[[Path], None]
) -> None:
    save(tmp_path / name)
    source = read(tmp_path / name)
    assert list(source) == TEXTS
    assert list(source.rows()) == TEXTS
    assert source.fields() == {"label"}
    assert source.fingerprint() == source.fingerprint()
    assert source.row_estimate() in (2, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b"id,text,label\na,one,1\nb,two,2\n"),
        ("x.csv", b'\xef\xbb\xbfid,text,label\r\na,"one",1\r\n\r\nb,two,2'),
        ("x.tsv", b"id\ttext\tlabel\na\tone\t1\nb\ttwo\t2\n"),
        ("x.csv.gz", gzip.compress(b"id,text,label\na,one,1\nb,two,2\n")),
    ],
)
def test_tables_give_strings(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    source = read(tmp_path / name)
    assert [(text.id, text.text, dict(text.meta)) for text in source] == [
        ("a", "one", {"label": "1"}),
        ("b", "two", {"label": "2"}),
    ]
    assert source.fields() == {"label"}


def test_a_quoted_cell_may_span_lines_and_long_ones_fit(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    path = tmp_path / "x.csv"
    path.write_text(f'text,n\n"one\ntwo, ""2""",1\n{long},2\n"three",3\n')
    assert [(text.text, text.id) for text in read(path)] == [
        ('one\ntwo, "2"', "2"),
        (long, "4"),
        ("three", "5"),
    ]


def test_plain_text_has_line_numbers_as_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("one\r\n two\u2028three \n".encode())
    assert list(read(path)) == [Text("one", "1", "1"), Text(" two\u2028three ", "2", "2")]
    assert read(path).fields() == frozenset()
    with pytest.raises(TextError, match="no field 'id'"):
        read(path, id="id")


@pytest.mark.parametrize("name", ["x.topics", "topics.robust2004.txt", "topics.301-450"])
def test_trec_topics(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TOPICS)
    first, second = read(tmp_path / name)
    assert first == Text(
        "International Organized Crime",
        "301",
        "301",
        meta={
            "description": "Identify organizations <b> that take part.",
            "narrative": "A relevant document names one.",
        },
    )
    assert second == Text("Polio", "302", "302")
    assert next(iter(read(tmp_path / name, text="description"))).text.startswith("Identify")


def test_a_beir_folder(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_bytes(jsonl([{"_id": 7, "title": "T", "text": "doc"}]))
    (tmp_path / "queries.jsonl").write_bytes(jsonl([{"_id": "q1", "text": "what", "metadata": {}}]))
    assert list(read(tmp_path)) == [Text("doc", "7", "7", meta={"title": "T"})]
    assert list(read(tmp_path / "queries.jsonl")) == [
        Text("what", "q1", "q1", meta={"metadata": {}})
    ]


def test_splits_are_named_or_the_message_lists_them(tmp_path: Path) -> None:
    dataset = datasets.Dataset(table(ROWS))
    folder = tmp_path / "several"
    datasets.DatasetDict(train=dataset, test=dataset.select([1])).save_to_disk(str(folder))
    assert list(read(f"{folder}#test")) == TEXTS[1:]
    with pytest.raises(TextError, match=r"several#train, .*several#test"):
        read(folder)
    with pytest.raises(TextError, match=r"no split 'tets'; did you mean test\?"):
        read(f"{folder}#tets")
    datasets.DatasetDict(train=dataset).save_to_disk(str(tmp_path / "one"))
    assert list(read(tmp_path / "one")) == TEXTS


def test_columns_that_json_lacks_become_json_values(tmp_path: Path) -> None:
    when = pyarrow.array([0], pyarrow.timestamp("s"))
    columns = {
        "text": ["one"],
        "when": when,
        "raw": [b"\xff"],
        "word": [b"w"],
        "price": pyarrow.array([1], pyarrow.decimal128(9, 2)),
        "deep": [{"a": [b"x", None]}],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    (text,) = read(tmp_path / "x.parquet")
    assert text.id == "1"
    assert text.meta == {
        "when": "1970-01-01T00:00:00",
        "raw": {"base64": "/w=="},
        "word": "w",
        "price": "1.00",
        "deep": {"a": ["x", None]},
    }


def test_fields_are_chosen_and_the_others_carried_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        jsonl(
            [{"z": 1, "body": "one", "root": "r", "key": 5, "id": "i", "made_by": "m", "a": [None]}]
        )
    )
    (text,) = read(path, text="body", id="key")
    assert text == Text(
        "one", "5", "5", meta={"z": 1, "root": "r", "id": "i", "made_by": "m", "a": [None]}
    )
    assert list(text.meta) == ["z", "root", "id", "made_by", "a"]


def test_the_limit_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"broken\n" + jsonl(ROWS))
    assert len(list(read(path, limit=2).rows())) == 2
    assert read(path, limit=2).row_estimate() == 2


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(jsonl(ROWS))
    before = read(path).fingerprint()
    path.write_bytes(jsonl(ROWS[:1]))
    assert len(before) == 64
    assert read(path).fingerprint() != before


def test_reading_a_folder_again_keeps_its_fingerprint(tmp_path: Path) -> None:
    save_dataset(tmp_path / "d")
    before = read(tmp_path / "d").fingerprint()
    assert list(read(tmp_path / "d")) == TEXTS
    assert read(tmp_path / "d").fingerprint() == before


def test_importing_text_loads_nothing_heavy() -> None:
    heavy = ["pyarrow", "datasets", "zstandard", "numpy", "torch"]
    code = f"import sys, llmaug.text; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
