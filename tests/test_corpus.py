"""The documents of a corpus in every format."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from llmaug.errors import TextError
from llmaug.retrieval.documents import contents, read_corpus
from llmaug.text import Text

ROWS = [{"_id": "a", "title": "One", "text": "uno"}, {"_id": "b", "title": "", "text": "dos"}]
TREC = """<DOC>
<DOCNO> FT-1 </DOCNO>
<HEADLINE><P>Taxes &amp;
 more</P></HEADLINE>
<DATE>1991
<TEXT>
<P>
A < B, said <F P=1>Mr.</F> X.
</P>
</TEXT>
<TEXT>Second.</TEXT>
</DOC>
not read
<DOC><DOCNO>FT-2</DOCNO><TITLE>Only a title</TITLE></DOC>
"""


def jsonl(*rows: Mapping[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize("form", ["beir", "beir.gz", "jsonl", "csv", "tsv", "parquet", "hf"])
def test_one_corpus_in_every_format(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"corpus.{form}"
    table = pyarrow.Table.from_pylist(ROWS)
    if form.startswith("beir"):
        path.mkdir()
        packed = form.endswith("gz")
        name = "corpus.jsonl.gz" if packed else "corpus.jsonl"
        (path / name).write_bytes(gzip.compress(jsonl(*ROWS)) if packed else jsonl(*ROWS))
    elif form == "hf":
        datasets.Dataset(table).save_to_disk(str(path))
    elif form == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif form == "jsonl":
        path.write_bytes(jsonl(*ROWS))
    else:
        cells = [["docno", "title", "abstract"], ["a", "One", "uno"], ["b", "", "dos"]]
        path.write_text("".join(("," if form == "csv" else "\t").join(row) + "\n" for row in cells))
    corpus = read_corpus(path)
    documents = [
        Text("uno", "a", "a", "", {"title": "One"}),
        Text("dos", "b", "b", "", {"title": ""}),
    ]
    assert list(corpus) == documents == list(corpus)
    assert [contents(document) for document in corpus] == ["One uno", "dos"]
    reference = tmp_path / "reference.jsonl"
    reference.write_bytes(jsonl(*ROWS))
    assert corpus.fingerprint() == read_corpus(reference).fingerprint()
    assert list(read_corpus(path, limit=1)) == documents[:1]


def test_lines_of_plain_text_have_their_numbers_as_ids(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("größer\r\n\r\ndrei\r\n".encode())
    documents = list(read_corpus(tmp_path / "a.txt"))
    assert [(d.id, d.text) for d in documents] == [("1", "größer"), ("2", ""), ("3", "drei")]


@pytest.mark.parametrize(
    "name", ["a.trec", "a.sgml", "a.txt", "ft911_1", "nested/deep/ft911_1", "a.gz"]
)
def test_trec_documents(tmp_path: Path, name: str) -> None:
    path = tmp_path / "corpus" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(TREC.encode()) if name.endswith("gz") else TREC.encode())
    for corpus in (read_corpus(path), read_corpus(tmp_path / "corpus")):
        first, second = corpus
        assert (first.id, first.text) == ("FT-1", "A < B, said Mr. X. Second.")
        assert first.meta == {"title": "Taxes & more"}
        assert contents(second) == "Only a title"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "<DOC>\n<DOCNO>1</DOCNO>\n<DOC>\n<DOCNO>2</DOCNO>\n</DOC>\n",
            ":1: the document has no </DOC>",
        ),
        ("<DOC>\n<TEXT>x</TEXT>\n</DOC>\n", ":1: the document has no <DOCNO>"),
        ("<DOC><DOCNO>1</DOCNO></DOC><DOC><DOCNO>2</DOCNO></DOC>\n", ":1: .*<DOCNO> twice"),
        ("<DOC><DOCNO>a b</DOCNO></DOC>\n", ":1: the id 'a b' holds white space"),
    ],
)
def test_broken_trec_documents(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.trec").write_text(content)
    with pytest.raises(TextError, match=rf"a\.trec{message}"):
        read_corpus(tmp_path / "a.trec").fingerprint()


def test_duplicate_ids_in_two_files_name_both_lines(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.trec").write_text(TREC)
    with pytest.raises(TextError, match=r"b\.trec:1: the id 'FT-1' is also that of .*a\.trec:1;"):
        list(read_corpus(tmp_path))


@pytest.mark.parametrize(
    ("row", "text", "meta"),
    [
        ({"id": 7, "text": "x"}, "x", {}),
        ({"id": "7", "text": None, "title": "T"}, "", {"title": "T"}),
        ({"id": "7", "text": "x", "title": None}, "x", {}),
        ({"id": "7", "text": "", "title": 1984}, "", {"title": "1984"}),
        ({"id": "7", "text": "x", "metadata": {"url": [1]}}, "x", {"metadata": {"url": [1]}}),
        ({"_id": "7", "id": "other", "text": "日本 é"}, "日本 é", {"id": "other"}),
        ({"docid": "7", "contents": "x" * 2**20}, "x" * 2**20, {}),
    ],
)
def test_unusual_rows(tmp_path: Path, row: dict[str, Any], text: str, meta: object) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + jsonl(row).replace(b"\n", b"\r\n"))
    (document,) = read_corpus(tmp_path / "a.jsonl")
    assert (document.text, document.id, document.root, document.meta) == (text, "7", "7", meta)


GOOD = b'{"id": "1", "text": "x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.jsonl holds no documents"),
        (b'{"text": "x"}\n', r":1: no field '_id'; the fields are text; .*id="),
        (b'{"id": "1", "words": "x"}\n', r":1: no field 'text'; .*text="),
        (GOOD + b'{"id": "2"}\n', r":2: no field 'text'"),
        (GOOD + b'{"text": "x"}\n', r":2: no field 'id'"),
        (GOOD + b'{"id": "2", "text": \n', r":2: "),
        (
            GOOD + b'{"id": "2", "text": ["x"]}\n',
            r":2: the field 'text' holds a list, not a string",
        ),
        (
            GOOD + b'{"id": "2", "text": "x", "title": {}}\n',
            r":2: the field 'title' holds an object",
        ),
        (GOOD + b'{"id": "", "text": "x"}\n', r":2: the id in 'id' is empty"),
        (GOOD + b'{"id": "a b", "text": "x"}\n', r":2: the id 'a b' holds white space"),
        (GOOD + b"\n" + GOOD, r":3: the id '1' is also that of .*a\.jsonl:1;"),
    ],
)
def test_a_corpus_never_lacks_documents_silently(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(TextError, match=message) as raised:
        list(read_corpus(tmp_path / "a.jsonl"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "txt"}, r":1: no field 'txt'; .*did you mean text\?"),
        ({"id": "url"}, r":1: no field 'url'; the fields are id, text$"),
        ({"limit": 0}, r"limit is 0"),
    ],
)
def test_wrong_options_are_found_before_reading(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    with pytest.raises(TextError, match=message):
        read_corpus(tmp_path / "a.jsonl", **options)


def test_named_fields_win(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl({"id": "1", "url": "u", "text": "x", "lead": "y"}))
    (document,) = read_corpus(tmp_path / "a.jsonl", text="lead", id="url")
    assert document == Text("y", "u", "u", "", {"id": "1", "text": "x"})
