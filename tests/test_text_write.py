"""Writing texts: every format, whole or not at all."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet
import pytest

from llmaug.errors import OutputError
from llmaug.text import Text, check_output, read, record, write

FIELDS = ["id", "root", "text", "made_by", "label"]
ROWS = [
    {"id": str(i), "root": "r", "text": f"text {i}", "made_by": "keep()", "label": i}
    for i in range(3)
]
EVERY = [
    "x.jsonl",
    "x.jsonl.gz",
    "x.jsonl.zst",
    "x.ndjson",
    "x.csv",
    "x.tsv.gz",
    "x.txt",
    "x.parquet",
    "x.beir",
    "x.hf",
]


def content(path: Path) -> dict[str, bytes]:
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def test_a_record_is_flat_and_keeps_fields_named_like_ours() -> None:
    text = Text("t", "i/0", "i", "keep()", {"label": 1, "root": 2, "input_root": 3, "id": 4})
    assert record(text) == {
        "id": "i/0",
        "root": "i",
        "text": "t",
        "made_by": "keep()",
        "label": 1,
        "input_input_root": 2,
        "input_root": 3,
        "input_id": 4,
    }
    assert list(record(text))[:4] == FIELDS[:4]


@pytest.mark.parametrize("name", EVERY)
def test_every_format_is_written_twice_alike_and_leaves_nothing_else(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    check_output(path)
    assert write(path, ROWS, fields=FIELDS) == 3
    first = content(path)
    assert [text.text for text in read(path)] == ["text 0", "text 1", "text 2"]
    assert write(path, iter(ROWS), fields=FIELDS) == 3
    assert [file.name for file in tmp_path.iterdir()] == [name]
    if name != "x.hf":  # the library puts a random mark into state.json
        assert content(path) == first


@pytest.mark.parametrize("name", EVERY)
def test_no_rows_make_an_output_without_rows(tmp_path: Path, name: str) -> None:
    assert write(tmp_path / name, [], fields=FIELDS) == 0
    assert list(read(tmp_path / name).rows()) == []


@pytest.mark.parametrize("name", EVERY)
def test_an_error_leaves_the_old_output_untouched(tmp_path: Path, name: str) -> None:
    def torn() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        raise KeyboardInterrupt

    path = tmp_path / name
    write(path, ROWS, fields=FIELDS)
    before = content(path)
    with pytest.raises(KeyboardInterrupt):
        write(path, torn(), fields=FIELDS)
    assert content(path) == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", EVERY)
def test_a_full_disk_says_so(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / name
    with pytest.raises(
        OutputError,
        match=f"^disk full while writing {path}; free space and run the same command again$",
    ):
        write(path, ROWS, fields=FIELDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/x.jsonl", "mkdir -p"),
        ("x.docx", "no format that is written: .jsonl"),
        ("x.parquet.gz", "no format that is written: .jsonl"),
        ("folder.jsonl", "is not a file"),
        ("file.beir", "is not a folder"),
        ("full.beir", "holds queries.jsonl, which would be lost"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file.beir").write_text("")
    (tmp_path / "full.beir").mkdir()
    (tmp_path / "full.beir" / "queries.jsonl").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=message):
        check_output(tmp_path / name)
    with pytest.raises(OutputError, match=message):
        write(tmp_path / name, ROWS, fields=FIELDS)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", EVERY)
def test_half_a_surrogate_pair_is_refused_with_its_row(tmp_path: Path, name: str) -> None:
    rows = [*ROWS, {**ROWS[0], "text": "bad \ud800"}]
    with pytest.raises(OutputError, match="row 4 "):
        write(tmp_path / name, rows, fields=FIELDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet", "x.hf"])
def test_a_table_never_loses_a_field(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="row 1 has the field 'label'"):
        write(tmp_path / name, ROWS, fields=FIELDS[:4])


def test_json_lines_keep_the_fields_of_each_row(tmp_path: Path) -> None:
    rows = [{"id": "1", "text": "a"}, {"id": "2", "text": "b", "score": np.float32(0.5)}]
    write(tmp_path / "x.jsonl", rows, fields=["id", "text"])
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == [
        {"id": "1", "text": "a"},
        {"id": "2", "text": "b", "score": 0.5},
    ]


def test_csv_cells(tmp_path: Path) -> None:
    row = {"text": "a\r\nb", "n": 1, "f": 0.5, "b": True, "l": ["x", 1], "o": {"k": None}}
    write(tmp_path / "x.csv", [row, {"text": "c"}], fields=[*row, "none"])
    assert (tmp_path / "x.csv").read_bytes() == (
        b'text,n,f,b,l,o,none\n"a\r\nb",1,0.5,true,"[""x"",1]","{""k"":null}",\nc,,,,,,\n'
    )
    with pytest.raises(OutputError, match="row 1 holds a NUL character"):
        write(tmp_path / "x.csv", [{"text": "a\0"}], fields=["text"])


def test_plain_text_has_one_text_a_line(tmp_path: Path) -> None:
    write(tmp_path / "x.txt", [{"text": "a\r\nb\nc\rd"}, {"text": "e"}], fields=["text"])
    assert (tmp_path / "x.txt").read_bytes() == b"a b c d\ne\n"


def test_gzip_holds_neither_time_nor_name(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl.gz", ROWS, fields=FIELDS)
    packed = (tmp_path / "x.jsonl.gz").read_bytes()
    assert packed[3:8] == b"\0" * 5
    assert gzip.decompress(packed).count(b"\n") == 3


def test_a_beir_folder_has_what_beir_reads(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "root": "1", "title": "T", "text": "a", "metadata": {}},
        {"id": "2", "root": "1", "text": "b", "metadata": {"url": "u"}},
    ]
    write(tmp_path / "x.beir", rows, fields=["id", "root", "title", "text", "metadata"])
    lines = (tmp_path / "x.beir" / "corpus.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_id": "1", "title": "T", "text": "a", "metadata": {"root": "1"}},
        {"_id": "2", "title": "", "text": "b", "metadata": {"root": "1", "metadata": {"url": "u"}}},
    ]


def test_columns_are_typed_where_their_values_agree(tmp_path: Path) -> None:
    columns = {
        "text": ["a", "b"],
        "int": [1, 2],
        "float": [1, 0.5],
        "bool": [True, None],
        "long": [1, 2**60],
        "big": [0.5, 2**60],
        "words": [["a"], []],
        "mixed": [1, "1"],
        "none": [None, None],
        "deep": [{"k": [1, "x"]}, {}],
        "score": [np.float32(0.5), 1],
    }
    rows = [{name: cells[i] for name, cells in columns.items()} for i in range(2)]
    for name in ("x.parquet", "x.hf"):
        write(tmp_path / name, rows, fields=list(columns))
    schema = pyarrow.parquet.read_schema(tmp_path / "x.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "text": "string",
        "int": "int64",
        "float": "double",
        "bool": "bool",
        "long": "int64",
        "big": "string",
        "words": "list<element: string>",
        "mixed": "string",
        "none": "null",
        "deep": "string",
        "score": "double",
    }
    back = [{"text": text.text, **text.meta} for text in read(tmp_path / "x.parquet")]
    assert back == rows
    dataset = datasets.load_from_disk(str(tmp_path / "x.hf"))
    assert dataset["mixed"][:] == ["1", '"1"']
    assert dataset["words"][:] == [["a"], []]


def test_values_that_disagree_late_are_kept(tmp_path: Path) -> None:
    rows = [{"text": "t", "n": i} for i in range(25_000)] + [{"text": "t", "n": "last"}]
    write(tmp_path / "x.parquet", rows, fields=["text", "n"])
    assert [text.meta["n"] for text in read(tmp_path / "x.parquet")] == [row["n"] for row in rows]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "x.jsonl").symlink_to(tmp_path / "elsewhere" / "y.jsonl")
    write(tmp_path / "x.jsonl", ROWS, fields=FIELDS)
    assert (tmp_path / "x.jsonl").is_symlink()
    assert len(list(read(tmp_path / "elsewhere" / "y.jsonl"))) == 3
