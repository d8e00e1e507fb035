"""Collections: documents, queries and judgements, and whether they fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmaug.errors import TextError
from llmaug.retrieval.collection import Collection, named_qrels, named_queries


def jsonl(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BEIR folder in which everything fits together."""
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_bytes(
        jsonl({"_id": "a", "title": "One", "text": "uno"}, {"_id": "b", "text": "dos"})
    )
    (beir / "queries.jsonl").write_bytes(
        jsonl({"_id": "q1", "text": "1?"}, {"_id": "q2", "text": "2?"})
    )
    header = "query-id\tcorpus-id\tscore\n"
    (beir / "qrels" / "test.tsv").write_text(f"{header}q1\ta\t1\nq2\tb\t2\n")
    (beir / "qrels" / "train.tsv").write_text(f"{header}q1\tb\t1\n")
    return beir


def test_a_beir_folder(folder: Path) -> None:
    collection = Collection.read(folder)
    assert [document.id for document in collection.documents] == ["a", "b"]
    assert collection.queries == {"q1": "1?", "q2": "2?"} == collection.judged_queries
    assert collection.qrels == {"q1": {"a": 1}, "q2": {"b": 2}}
    assert collection.check() == []
    train = Collection.read(str(folder), split="train")
    assert train.qrels == {"q1": {"b": 1}}
    assert train.judged_queries == {"q1": "1?"}
    with pytest.raises(TextError, match=r"qrels has no split 'tst'; did you mean test\?"):
        Collection.read(folder, split="tst")


def test_files_of_the_caller_replace_those_of_the_folder(folder: Path) -> None:
    (folder / "more.tsv").write_text("q3\tthree?\n")
    (folder / "more.qrels").write_text("q3 0 a 1\n")
    collection = Collection.read(
        folder, split="none", queries=folder / "more.tsv", qrels=folder / "more.qrels"
    )
    assert (collection.queries, collection.qrels) == ({"q3": "three?"}, {"q3": {"a": 1}})


def test_trec_files(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    for number in "12":
        (tmp_path / "documents" / f"part{number}").write_text(
            f"<DOC>\n<DOCNO>{number}</DOCNO>\n<TEXT>\nthe text\n</TEXT>\n</DOC>\n"
        )
    (tmp_path / "topics").write_text("<top>\n<num>Number: 301\n<title>crime\n</top>\n")
    (tmp_path / "qrels").write_text("301 0 2 1\n301 0 1 0\n")
    collection = Collection.read(
        tmp_path / "documents", queries=tmp_path / "topics", qrels=tmp_path / "qrels"
    )
    assert [document.id for document in collection.documents] == ["1", "2"]
    assert (collection.queries, collection.qrels) == ({"301": "crime"}, {"301": {"2": 1, "1": 0}})
    assert [str(finding) for finding in collection.check()] == [
        "documents with the same title and text as one before them: 1 (2)"
    ]


def test_a_folder_may_be_a_corpus_only(folder: Path) -> None:
    (folder / "queries.jsonl").unlink()
    for file in (folder / "qrels").iterdir():
        file.unlink()
    collection = Collection.read(folder)
    assert (collection.queries, collection.qrels, collection.check()) == ({}, {}, [])


def test_what_does_not_fit_together_is_counted(folder: Path) -> None:
    (folder / "corpus.jsonl").write_bytes(
        jsonl(
            *({"_id": str(n), "title": "", "text": "same"} for n in range(5)),
            {"_id": "a", "title": " ", "text": None},
            {"_id": "b", "title": "same", "text": ""},
        )
    )
    (folder / "qrels" / "test.tsv").write_text("q1 0 a 1\nq1 0 gone 0\nq9 0 gone 1\nq8 0 0 1\n")
    lines = [str(finding) for finding in Collection.read(folder).check()]
    assert lines == [
        "judgements of documents that the corpus lacks: 2 (gone, gone)",
        "judged queries that the queries lack: 2 (q9, q8)",
        "queries without judgements: 1 (q2)",
        "documents without title and text: 1 (a)",
        "documents with the same title and text as one before them: 5 (1, 2, 3, …)",
    ]


def test_wrong_grades_are_named_by_file_and_line(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\thigh\n")
    with pytest.raises(TextError, match=r"test\.tsv:2"):
        Collection.read(folder)


@pytest.mark.parametrize("others", [{}, {"queries.jsonl": '{"_id": "1", "text": "x"}\n'}])
def test_a_folder_without_a_corpus(tmp_path: Path, others: dict[str, str]) -> None:
    for name, content in others.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(TextError, match=r"is no corpus: it has no corpus\.jsonl"):
        Collection.read(tmp_path)


def test_a_name_with_a_slip(folder: Path) -> None:
    with pytest.raises(TextError, match=r"bier does not exist; did you mean .*beir\?"):
        Collection.read(folder.parent / "bier")


def test_a_folder_or_a_file_names_queries_and_judgements(folder: Path) -> None:
    train = {"q1": {"b": 1}}
    assert named_queries(folder) == named_queries(folder / "queries.jsonl")
    assert named_qrels(folder) == named_qrels(folder, split="test") == Collection.read(folder).qrels
    assert named_qrels(folder / "qrels", split="train") == train
    assert named_qrels(str(folder / "qrels" / "train.tsv")) == train


def test_a_split_that_is_none(folder: Path) -> None:
    with pytest.raises(TextError, match=r"no split 'tran'; did you mean train\?"):
        named_qrels(folder, split="tran")
    with pytest.raises(TextError, match="is for a BEIR folder"):
        named_qrels(folder / "qrels" / "test.tsv", split="test")
    with pytest.raises(TextError, match=r"has no qrels/test\.tsv; name a file"):
        named_qrels(folder.parent)
