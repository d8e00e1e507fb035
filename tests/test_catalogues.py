"""Collections by the names of ir_datasets and of a hub, without a network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from llmaug.errors import MissingExtra, TextError
from llmaug.retrieval.collection import Collection, contents, named_qrels, named_queries

README = """---
configs:
- config_name: corpus
  data_files: [{split: corpus, path: corpus.parquet}]
- config_name: queries
  data_files: [{split: every, path: queries.parquet}]
- config_name: default
  data_files: [{split: test, path: test.parquet}, {split: train, path: train.parquet}]
---
"""
DOCUMENTS = [{"_id": 1, "title": "One", "text": "uno"}, {"_id": 2, "title": None, "text": "dos"}]
QUERIES = [{"_id": 7, "text": "1?"}, {"_id": 8, "text": "2?"}]


def judgements(*rows: tuple[int, int, float]) -> list[dict[str, float]]:
    return [dict(zip(("query-id", "corpus-id", "score"), row, strict=True)) for row in rows]


def save_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out like a BEIR data set on a hub."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "README.md").write_text(README)
    save_parquet(folder / "corpus.parquet", DOCUMENTS)
    save_parquet(folder / "queries.parquet", QUERIES)
    save_parquet(folder / "test.parquet", judgements((7, 2, 1.0)))
    save_parquet(folder / "train.parquet", judgements((8, 1, 2.0)))
    return folder


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a collection's parts as `save_to_disk` leaves them."""
    folder = tmp_path / "saved"
    datasets.Dataset.from_list(DOCUMENTS).save_to_disk(str(folder / "corpus"))
    datasets.Dataset.from_list(QUERIES).save_to_disk(str(folder / "queries"))
    splits = {"test": judgements((7, 2, 1)), "train": judgements((8, 1, 2))}
    datasets.DatasetDict(
        {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
    ).save_to_disk(str(folder / "qrels"))
    return folder


@pytest.mark.parametrize("kind", ["hub", "saved"])
def test_a_hub_collection(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    collection = Collection.read(f"hf:{folder}")
    assert [(d.id, contents(d)) for d in collection.documents] == [("1", "One uno"), ("2", "dos")]
    assert collection.queries == {"7": "1?", "8": "2?"}
    assert collection.qrels == {"7": {"2": 1}}
    assert [f.what for f in collection.check()] == ["queries without judgements"]
    for name, split in ((f"hf:{folder}#train", "test"), (f"hf:{folder}", "train")):
        assert Collection.read(name, split=split).qrels == {"8": {"1": 2}}
    with pytest.raises(TextError, match=r"no split 'tst'; did you mean test\?"):
        Collection.read(f"hf:{folder}#tst")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (judgements((7, 2, 0.5)), "row 1: the grade 0.5 is not a whole number"),
        (judgements((7, 2, float("nan"))), "row 1: a judgement is query-id, corpus-id, score"),
        (judgements((7, 2, 1), (7, 2, 0)), "row 2: 2 is judged twice for query 7"),
        ([{"query-id": 7, "score": 1}], "row 1: a judgement is"),
    ],
)
def test_wrong_judgements_of_a_hub(hub: Path, rows: list[dict[str, Any]], message: str) -> None:
    for split in ("test", "train"):
        save_parquet(hub / f"{split}.parquet", rows)
    with pytest.raises(TextError, match=message):
        Collection.read(f"hf:{hub}")


def test_what_is_no_collection_of_a_hub(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hub / "README.md").write_text(README.replace("config_name: corpus", "config_name: other"))
    with pytest.raises(TextError, match="has no part 'corpus' with documents"):
        Collection.read(f"hf:{hub}")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(TextError, match=r"^hf:no/such cannot be fetched or read: ") as raised:
        Collection.read("hf:no/such")
    assert "\n" not in str(raised.value)


class Report(NamedTuple):
    doc_id: str
    title: str
    text: str
    pages: tuple[str, ...] = ()
    year: int = 1957

    def default_text(self) -> str:
        return f"{self.title} {self.text}"


class Letter(NamedTuple):
    doc_id: str
    title: str
    body: str

    def default_text(self) -> str:
        return f"{self.title}\n{self.body}"


class Question(NamedTuple):
    query_id: str
    title: str


class Judgement(NamedTuple):
    query_id: str
    doc_id: str
    relevance: int


Register = Callable[..., str]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Makes a collection known to ir_datasets and gives its name."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    import ir_datasets
    from ir_datasets.formats import BaseDocs, BaseQrels, BaseQueries

    def added(documents: Callable[[], Iterator[Any]], *, judged: bool = True) -> str:
        class Docs(BaseDocs):  # type: ignore[misc, unused-ignore]
            def docs_iter(self) -> Iterator[Any]:
                return documents()

        class Queries(BaseQueries):  # type: ignore[misc, unused-ignore]
            def queries_iter(self) -> Iterator[Question]:
                return iter([Question("q", "which?")])

        class Qrels(BaseQrels):  # type: ignore[misc, unused-ignore]
            def qrels_iter(self) -> Iterator[Judgement]:
                return iter([Judgement("q", "d1", 1), Judgement("q", "d9", -1)])

        name = f"test-{tmp_path.name}"
        parts = [Docs(), *([Queries(), Qrels()] if judged else [])]
        ir_datasets.registry.register(name, ir_datasets.Dataset(*parts))
        return name

    return added


def test_a_collection_of_ir_datasets(register: Register) -> None:
    name = register(lambda: iter([Report("d1", "Flow", "of air", ("x",)), Report("d2", "", "")]))
    collection = Collection.read(f"irds:{name}")
    first, second = collection.documents
    assert (first.id, first.text, first.meta) == ("d1", "of air", {"title": "Flow", "year": 1957})
    assert contents(second) == ""
    assert (collection.queries, collection.qrels) == ({"q": "which?"}, {"q": {"d1": 1, "d9": -1}})
    assert [(f.count, f.examples) for f in collection.check()] == [(1, ("d9",)), (1, ("d2",))]


def test_the_default_text_of_ir_datasets_is_kept(register: Register) -> None:
    name = register(lambda: iter([Letter("d1", "Dear", "you")]), judged=False)
    collection = Collection.read(f"irds:{name}")
    (document,) = collection.documents
    assert contents(document) == "Dear\nyou"
    assert (collection.queries, collection.qrels) == ({}, {})
    (document,) = Collection.read(f"irds:{name}", text="body", id="title").documents
    assert (document.id, document.text) == ("Dear", "you")


def test_what_ir_datasets_cannot_fetch_is_one_line(register: Register) -> None:
    def unreachable() -> Iterator[Any]:
        yield Report("d1", "a", "b")
        raise RuntimeError("All download sources failed:\n\nhttps://somewhere/docs.zip")

    name = register(unreachable)
    collection = Collection.read(f"irds:{name}")
    message = f"irds:{name} cannot be fetched or read: All download sources failed: https://some"
    with pytest.raises(TextError, match=message):
        list(collection.documents)


def test_an_unknown_name_of_ir_datasets(register: Register) -> None:
    with pytest.raises(TextError, match=r"no 'beir/scifct'; did you mean beir/scifact"):
        Collection.read("irds:beir/scifct")
    with pytest.raises(TextError, match=r"no 'zzzzzz'; ir_datasets list shows the names"):
        Collection.read("irds:zzzzzz")


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("irds:vaswani", "ir_datasets", "irds"), ("hf:no/such", "datasets", "datasets")],
)
def test_a_missing_library(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"llmaug\[{extra}\]"):
        Collection.read(name)


@pytest.mark.parametrize("name", ["irds:", "hf:", "hf:#train", "hf: "])
def test_a_library_without_a_name(name: str) -> None:
    with pytest.raises(TextError, match=r"names no collection; write (irds|hf):\w"):
        Collection.read(name)


def test_libraries_name_queries_and_judgements(register: Register, hub: Path) -> None:
    name = f"irds:{register(lambda: iter([]))}"
    assert (named_queries(name), named_qrels(name)) == ({"q": "which?"}, {"q": {"d1": 1, "d9": -1}})
    assert named_qrels(f"hf:{hub}", split="train") == {"8": {"1": 2}}
    with pytest.raises(TextError, match="is for a BEIR folder"):
        named_qrels(name, split="test")


def test_a_library_without_queries_is_one_line(register: Register) -> None:
    name = f"irds:{register(lambda: iter([]), judged=False)}"
    for read, what in ((named_queries, "queries"), (named_qrels, "judgements")):
        with pytest.raises(TextError, match=f"has no {what}; name a file of them"):
            read(name)
