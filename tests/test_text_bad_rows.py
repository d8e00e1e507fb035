"""Input that cannot be read: one counted row each, or one line that says what to do."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from llmaug.errors import TextError
from llmaug.text import BadRow, Text, read


def rows(path: Path, **chosen: str) -> list[tuple[str, int, str] | tuple[str, str]]:
    """Each row as (id, text), or (error, line, id) where it is bad."""
    found: list[tuple[str, int, str] | tuple[str, str]] = []
    for row in read(path, **chosen).rows():
        if isinstance(row, Text):
            found.append((row.id, row.text))
        else:
            assert row.file == str(path)
            assert row.message.startswith(f"{path}:{row.line}: ")
            assert "\n" not in row.message
            found.append((row.error, row.line, row.id))
    return found


@pytest.mark.parametrize(
    ("line", "error", "id"),
    [
        (b'{"id": "x", "text": "caf\xe9"}', "invalid UTF-8", ""),
        (b'{"id": "x", "text": "on', "broken JSON", ""),
        (b'{"id": "x", "text": "\\ud800"}', "broken JSON", ""),
        (b"[1]", "not an object", ""),
        (b"null", "not an object", ""),
        (b'{"id": "x", "txt": "one"}', "missing field", "x"),
        (b"{}", "missing field", ""),
        (b'{"text": "one"}', "missing field", ""),
        (b'{"id": "x", "text": " \\n\\t"}', "empty text", "x"),
        (b'{"id": "x", "text": ""}', "empty text", "x"),
        (b'{"id": 4, "text": 5}', "not a text", "4"),
        (b'{"id": "x", "text": null}', "not a text", "x"),
        (b'{"id": "x", "text": ["one"]}', "not a text", "x"),
        (b'{"id": "first", "text": "again"}', "duplicate id", "first"),
        (b'{"id": null, "text": "one"}', "bad id", ""),
        (b'{"id": true, "text": "one"}', "bad id", ""),
        (b'{"id": "", "text": "one"}', "bad id", ""),
        (b'{"id": 12345678901234567890123, "text": "one"}', "bad id", ""),
        (b"\0", "broken JSON", ""),
        (b"[" * 5000, "broken JSON", ""),
        (
            b'{"id": "x", "text": "one", "a": ' + b"[" * 300 + b"]" * 300 + b"}",
            "nested too deeply",
            "",
        ),
    ],
)
def test_a_bad_json_line_is_one_bad_row(tmp_path: Path, line: bytes, error: str, id: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "first", "text": "one"}\n\n' + line + b'\n{"id": 3, "text": "last"}')
    assert rows(path) == [("first", "one"), (error, 3, id), ("3", "last")]
    with pytest.raises(TextError, match=r"x\.jsonl:3: "):
        list(read(path))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"x,caf\xe9", "invalid UTF-8"),
        (b"x,one,more", "wrong number of columns"),
        (b"x", "wrong number of columns"),
        (b"x,a\0b", "NUL byte"),
        (b"x, ", "empty text"),
        (b"first,again", "duplicate id"),
        (b",one", "bad id"),
        (b'x,"one" two', "broken quoting"),
        (b'x,"open', "broken quoting"),
        (b"x,one\rtwo", "broken quoting"),
    ],
)
def test_a_bad_table_line_is_one_bad_row(tmp_path: Path, line: bytes, error: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'id,text\nfirst,"one\nand"\n' + line + b'\n3,"last"\n4,end')
    found = rows(path)
    assert found[0] == ("first", "one\nand")
    assert found[1][:2] == (error, 4)
    assert found[2:] == [("3", "last"), ("4", "end")]


def test_an_open_quote_never_swallows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('text\n"open\n' + ("y" * 1000 + "\n") * 20_000)
    found = list(read(path).rows())
    assert len(found) == 20_001
    assert isinstance(found[0], BadRow)
    assert found[0].error == "over-long field"
    assert all(isinstance(row, Text) for row in found[1:])


def test_a_line_too_long_for_memory_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b" " * 40_000_000 + b'\n{"text": "one"}\n')
    assert rows(path) == [("line too long", 1, ""), ("2", "one")]


def test_bad_lines_of_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"one\n\n \ncaf\xe9\na\0b\nlast")
    assert [row[0] for row in rows(path)] == [
        "1",
        "empty text",
        "empty text",
        "invalid UTF-8",
        "NUL byte",
        "6",
    ]


def test_bad_topics(tmp_path: Path) -> None:
    path = tmp_path / "x.trec"
    path.write_bytes(
        b"<top>\n<num> 1\n<title> one\n<top>\n<num> 2\n<title> two\n</top>\n"
        b"<top>\n<title> three\n</top>\n<top>\n<num> 4\n<title> caf\xe9\n</top>\n"
        b"<top>\n<num> 5\n"
    )
    assert rows(path) == [
        ("broken topic", 1, ""),
        ("2", "two"),
        ("missing field", 8, ""),
        ("invalid UTF-8", 11, ""),
        ("broken topic", 15, ""),
    ]


def test_rows_of_columns_are_counted_where_there_are_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 1, None], "text": ["a", "b", "c"]}), path)
    good, twice, lacking = read(path).rows()
    assert good == Text("a", "1", "1")
    assert isinstance(twice, BadRow)
    assert isinstance(lacking, BadRow)
    assert (twice.error, twice.line, lacking.error) == ("duplicate id", 0, "bad id")
    assert twice.message == f"{path}: row 2: the id '1' is also that of row 1"


def test_a_value_that_cannot_be_read_spoils_its_row_only(tmp_path: Path) -> None:
    bad = pyarrow.array([b"ok", b"caf\xe9", b"ok"]).view(pyarrow.string())
    marked = pyarrow.field("meta", pyarrow.string(), metadata={b"llmaug": b"json"})
    schema = pyarrow.schema([pyarrow.field("text", pyarrow.string()), marked])
    pyarrow.parquet.write_table(
        pyarrow.table([bad, ["[1]", "1", "{"]], schema=schema), tmp_path / "x.parquet"
    )
    first, *others = read(tmp_path / "x.parquet").rows()
    assert first == Text("ok", "1", "1", meta={"meta": [1]})
    assert [row.error for row in others if isinstance(row, BadRow)] == [
        "invalid UTF-8",
        "unreadable value",
    ]


def test_the_first_row_decides_whether_there_are_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two", "id": "1"}\n')
    assert rows(path) == [("1", "one"), ("2", "two")]


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.compress])
def test_a_cut_off_file_gives_its_rows_then_says_so(tmp_path: Path, packed) -> None:
    lines = b"".join(b'{"text": "%s"}\n' % os.urandom(2000).hex().encode() for _ in range(500))
    path = tmp_path / f"x.jsonl.{'gz' if packed is gzip.compress else 'zst'}"
    whole = packed(lines)
    path.write_bytes(whole[: len(whole) // 2])
    reader = read(path).rows()
    assert sum(isinstance(row, Text) for row in itertools.islice(reader, 50)) == 50
    with pytest.raises(TextError, match=r"is cut off"):
        list(reader)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl.gz", b"not gzip", "cannot be read"),
        ("x.jsonl.gz", gzip.compress(b"{}")[:-6] + b"\0\0\0\0\0\0", "cannot be read"),
        ("x.jsonl.zst", b"not zstandard", "not sound Zstandard"),
        ("x.parquet", b"PAR1", "cannot be read as Parquet"),
        ("x.csv", b"", "is empty"),
        ("x.csv", b"id,body,label\n", "no field 'text'; the fields are id, body, label"),
        ("x.csv", b"id,txt\n", "did you mean txt"),
        ("x.csv", b"text,a,a\n", "'a' stands twice"),
        ("x.csv", b"caf\xe9,text\n", "the header cannot be read"),
        ("x.json", b"[]", "jq -c"),
        ("x.docx", b"", "the ending says no format that is read: .jsonl"),
        ("x", b"", "the ending says no format that is read: .jsonl"),
        ("x.jsonl", b'{"body": "one"}\n{"body": "two"}\n', "the fields are body"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    def read_whole() -> None:
        source = read(tmp_path / name)
        source.fields()
        list(source.rows())

    with pytest.raises(TextError) as caught:
        read_whole()
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_foreign_paths(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="does not exist"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(TextError, match=r"neither corpus\.jsonl"):
        read(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dataset_info.json").write_text("{}")
    with pytest.raises(TextError, match="not a dataset made by save_to_disk"):
        read(tmp_path / "d")
    (tmp_path / "x.jsonl").write_text("")
    with pytest.raises(TextError, match="has no splits"):
        read(f"{tmp_path / 'x.jsonl'}#train")
    assert list(read(tmp_path / "x.jsonl").rows()) == []


def test_names_from_a_hostile_file_stay_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"te\\nxt": 1, "' + "k" * 9000 + '": 2}\n')
    (bad,) = read(path).rows()
    assert isinstance(bad, BadRow)
    assert "\n" not in bad.message
    assert len(bad.message) < 500 + len(str(path))
