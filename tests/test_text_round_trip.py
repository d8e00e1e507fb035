"""What is written is what is read back, whatever the texts hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.text import EMPTY, Text, read, record, write

OWN = ["id", "root", "text", "made_by"]
HOSTILE = st.sampled_from(
    [
        "\n",
        "\r\n",
        "\r",
        '"',
        '""',
        ",",
        "\t",
        "\u2028",
        "\x85",
        "\ufeff",
        "<top>",
        "\\",
        "'",
        "\x1a",
        "😀",
        "{",
        "=1+1",
        "#",
    ]
)


def strings(*, nul: bool) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="" if nul else "\0")
    return st.lists(st.one_of(st.text(characters), HOSTILE), max_size=6).map("".join)


def values(*, nul: bool) -> st.SearchStrategy[Any]:
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        strings(nul=nul),
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(strings(nul=nul), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def texts(draw: st.DrawFn, *, nul: bool, only_strings: bool) -> list[Text]:
    names = draw(
        st.lists(strings(nul=nul).filter(lambda name: name not in OWN), max_size=3, unique=True)
    )
    cell = strings(nul=nul) if only_strings else values(nul=nul)
    ids = draw(st.lists(strings(nul=nul).filter(bool), max_size=6, unique=True))
    return [
        Text(
            draw(strings(nul=nul).filter(str.strip)),
            id,
            id,
            meta={name: draw(cell) for name in names} or EMPTY,
        )
        for id in ids
    ]


def there_and_back(rows: list[Text], name: str) -> list[Text]:
    fields = list(dict.fromkeys([*OWN, *(name for text in rows for name in text.meta)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        assert write(path, map(record, rows), fields=fields) == len(rows)
        assert [file.name for file in Path(folder).iterdir()] == [name]
        back = list(read(path))
    for text in back:
        assert text.meta["root"] == text.id
        assert text.meta["made_by"] == ""
    return [
        Text(
            text.text,
            text.id,
            text.root,
            meta={name: value for name, value in text.meta.items() if name not in OWN},
        )
        for text in back
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.ndjson.zst"])
@settings(max_examples=60, deadline=None)
@given(rows=texts(nul=True, only_strings=False))
def test_json_lines(name: str, rows: list[Text]) -> None:
    assert there_and_back(rows, name) == rows


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
@settings(max_examples=100, deadline=None)
@given(rows=texts(nul=False, only_strings=True))
def test_tables_of_strings(name: str, rows: list[Text]) -> None:
    assert there_and_back(rows, name) == rows


@settings(max_examples=150, deadline=None)
@given(rows=texts(nul=True, only_strings=False))
def test_parquet(rows: list[Text]) -> None:
    assert there_and_back(rows, "x.parquet") == rows


@settings(max_examples=10, deadline=None)
@given(rows=texts(nul=False, only_strings=True))
def test_hugging_face(rows: list[Text]) -> None:
    assert there_and_back(rows, "x.hf") == rows


@settings(max_examples=60, deadline=None)
@given(rows=texts(nul=True, only_strings=False))
def test_reading_never_crashes_on_what_another_format_wrote(rows: list[Text]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.txt"
        count = write(path, map(record, rows), fields=OWN)
        assert len(list(read(path).rows())) == count
