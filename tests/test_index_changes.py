"""An index that changes: documents added, deleted, merged, and readers meanwhile."""

from __future__ import annotations

import os

import pytest
from small_index import TEXTS, documents, files

import llmaug as la
from llmaug.errors import OutputError, RetrievalError, TextError

pytest.importorskip("faiss", reason="needs the extra retrieval")


@pytest.fixture
def index(tmp_path):
    return la.Index.build(documents(), tmp_path / "index", embedder=la.embedder("fake"))


def test_added_deleted_and_replaced_equal_an_index_built_fresh(index, tmp_path):
    changed = {**TEXTS, "d6": "socks that do not slip", "d2": "the right earcup came off"}
    index.add(documents(d6=changed["d6"], d2=changed["d2"])).delete(["d4", "d1"])
    del changed["d4"], changed["d1"]
    order = ["d3", "d5", "d6", "d2"]  # a document that replaces another stands at the end
    fresh = la.Index.build(
        documents(**{id: changed[id] for id in order}), tmp_path / "fresh", embedder="fake"
    )
    assert files(index.folder) == files(fresh.folder)


def test_nothing_is_encoded_twice(index):
    class Counting(type(la.embedder("fake"))):
        asked = 0

        def encode(self, texts, *, side=""):
            if side == "document":
                Counting.asked += len(texts)
            return super().encode(texts, side=side)

    more = {**TEXTS, "d6": "socks that do not slip"}
    la.Index.build(documents(**more), index.folder, embedder=Counting())
    assert Counting.asked <= 2  # the new one, and the sentence that tells the weights


def test_shards_merge_into_the_index_of_the_whole(tmp_path):
    parts = [dict(list(TEXTS.items())[:2]), dict(list(TEXTS.items())[2:])]
    for number, part in enumerate(parts):
        la.Index.build(documents(**part), tmp_path / str(number), embedder="fake")
    merged = la.Index.merge([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")
    whole = la.Index.build(documents(), tmp_path / "whole", embedder="fake")
    assert files(merged.folder) == files(whole.folder)
    with pytest.raises(TextError, match="'d1' comes twice"):
        la.Index.merge([tmp_path / "0", tmp_path / "0"], tmp_path / "twice")


def test_a_change_from_an_old_reader_does_not_undo_another(index):
    other = la.Index.open(index.folder)
    index.add(documents(d6="socks that do not slip"))
    for stale in (index, other):
        with pytest.raises(RetrievalError, match="was changed since it was opened"):
            stale.delete(["d1"])
    assert len(la.Index.open(index.folder).delete("d6")) == 5


def test_a_reader_that_is_open_keeps_what_it_read_and_a_new_one_gets_the_new(index):
    before = la.search(index, ["water in the kettle"])
    la.Index.open(index.folder).delete(["d1"])
    assert la.search(index, ["water in the kettle"]) == before
    assert "d1" not in la.search(index.folder, ["water in the kettle"])["0"]


def test_readers_open_while_builds_replace_the_files(index):
    import threading

    failed = []

    def reading():
        try:
            for _ in range(30):
                la.search(la.Index.open(index.folder), ["water"], mode="bm25")
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=reading) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(6):
        la.Index.build(documents(**TEXTS, more=str(number)), index.folder, embedder="fake")
    for reader in readers:
        reader.join()
    assert failed == []


def test_a_change_measures_recall_by_the_same_queries(tmp_path):
    texts = {f"d{i}": f"word{i} word{i % 7} thing{i % 13}" for i in range(300)}
    asked = {"q1": "word3 thing5", "q2": "word6"}
    collection = la.Collection("c", documents(**texts), asked)
    chosen = la.Settings(factory="IVF4,Flat", min_recall=0.9, lexical=None)
    made = la.Index.build(collection, tmp_path / "i", embedder="fake", settings=chosen)
    changed = made.add(documents(extra="word3"))
    for each in (made, changed):
        assert (each.about["dense"]["recall"]["of_documents"]) is False
        assert each.about["dense"]["recall"]["queries"] == 2


def test_an_unknown_id_is_not_deleted(index):
    with pytest.raises(RetrievalError, match="no document 'd9'"):
        index.delete(["d1", "d9"])
    assert len(la.Index.open(index.folder)) == 5


def test_a_build_that_fails_leaves_the_index_before_it(index):
    before = files(index.folder)

    def broken():
        yield from documents()
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="disk full"):
        la.Index.build(broken(), index.folder, embedder="fake")
    assert files(index.folder) == before
    assert not [name for name in os.listdir(index.folder) if name.startswith(".edition")]
