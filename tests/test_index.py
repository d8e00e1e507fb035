"""An index on disk: built, searched, changed, refused when it is not as it was written."""

from __future__ import annotations

import json
import os

import pytest

import llmaug as la
from llmaug.errors import OutputError, RetrievalError, TextError
from llmaug.retrieval.settings import Settings

pytest.importorskip("faiss", reason="needs the extra retrieval")

TEXTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "a quiet vacuum cleaner that picks up hair of dogs",
    "d4": "water leaks from the bottom of the coffee machine",
    "d5": "the battery of the torch lasts a weekend of camping",
}


def documents(**texts: str) -> list[la.Text]:
    return [la.Text(text, id, id) for id, text in (texts or TEXTS).items()]


@pytest.fixture
def index(tmp_path):
    return la.Index.build(documents(), tmp_path / "index", embedder=la.embedder("fake"))


def files(folder):
    """Every file of the edition in force by its content, but for the manifest's version."""
    edition = folder / json.loads((folder / "index.json").read_bytes())["edition"]
    return {
        str(path.relative_to(edition)): path.read_bytes()
        for path in sorted(edition.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def edition(folder):
    return folder / json.loads((folder / "index.json").read_bytes())["edition"]


@pytest.mark.parametrize("mode", ["dense", "bm25", "hybrid"])
def test_the_document_about_the_query_comes_first(index, mode):
    rankings = la.search(index, {"q": "water in the kettle", "r": "camping torch"}, mode=mode)
    assert next(iter(rankings["q"])) == "d1"
    assert next(iter(rankings["r"])) == "d5"


def test_an_index_opened_again_finds_the_same(index):
    again = la.Index.open(index.folder, embedder=la.embedder("fake"))
    assert la.search(again, ["water"]) == la.search(index, ["water"])
    assert again.fingerprint == index.fingerprint
    assert len(again) == 5
    assert again.document("d2").text == TEXTS["d2"]


def test_one_side_alone_is_searched_by_that_side(tmp_path):
    words = la.Index.build(documents(), tmp_path / "words", embedder=None)
    dense = la.Index.build(
        documents(), tmp_path / "dense", embedder="fake", settings=Settings(lexical=None)
    )
    assert (words.modes, dense.modes) == (["bm25"], ["dense"])
    with pytest.raises(RetrievalError, match="built for bm25 only"):
        la.search(words, ["water"], mode="hybrid")
    with pytest.raises(RetrievalError, match="did you mean dense"):
        la.search(words, ["water"], mode="dens")


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


def test_an_unknown_id_is_not_deleted(index):
    with pytest.raises(RetrievalError, match="no document 'd9'"):
        index.delete(["d1", "d9"])
    assert len(la.Index.open(index.folder)) == 5


def test_an_embedder_with_other_weights_is_refused(index):
    class Other(type(la.embedder("fake"))):
        def __init__(self):
            super().__init__()
            self.fingerprint = "0123456789ab"

    with pytest.raises(RetrievalError, match="other weights"):
        la.search(la.Index.open(index.folder, embedder=Other()), ["water"], mode="dense")
    with pytest.raises(RetrievalError, match="fresh"):
        la.Index.build(documents(), index.folder, embedder=Other())
    renewed = la.Index.build(documents(), index.folder, embedder=Other(), fresh=True)
    assert la.search(renewed, ["water"], mode="dense")["0"]


@pytest.mark.parametrize("name", ["dense.faiss", "documents.jsonl", "tie_rank.npy"])
@pytest.mark.parametrize("harm", ["tampered", "truncated", "missing"])
def test_a_file_that_was_changed_is_refused_before_it_is_read(index, name, harm):
    path = edition(index.folder) / name
    content = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if harm == "tampered" else content[:-3])
    with pytest.raises(RetrievalError, match=name) as caught:
        la.Index.open(index.folder)
    assert "\n" not in str(caught.value)


def test_a_build_that_fails_leaves_the_index_before_it(index):
    before = files(index.folder)

    def broken():
        yield from documents()
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="disk full"):
        la.Index.build(broken(), index.folder, embedder="fake")
    assert files(index.folder) == before
    assert not [name for name in os.listdir(index.folder) if name.startswith(".edition")]


@pytest.mark.parametrize(
    ("ids", "message"),
    [(["a", "a"], "comes twice"), (["a b"], "white space"), ([""], "is empty"), ([], "empty")],
)
def test_a_corpus_that_no_ranking_could_name_is_refused(tmp_path, ids, message):
    corpus = [la.Text("some text", id, id) for id in ids]
    with pytest.raises(TextError, match=message):
        la.Index.build(corpus, tmp_path / "index", embedder="fake")


def test_a_folder_of_something_else_is_not_written_into(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RetrievalError, match=r"holds thesis\.txt"):
        la.Index.build(documents(), tmp_path, embedder="fake")
    with pytest.raises(RetrievalError, match="no finished index"):
        la.Index.open(tmp_path)
    with pytest.raises(RetrievalError, match="no index at"):
        la.Index.open(tmp_path / "nowhere")


def test_one_document_of_a_megabyte_is_indexed(tmp_path):
    big = "water " * 180_000
    made = la.Index.build(documents(d1=big, d2="short"), tmp_path / "i", embedder="fake")
    assert list(la.search(made, ["water"], mode="bm25")["0"]) == ["d1"]
    assert made.document("d1").text == big


def test_passages_come_with_their_score_and_rank(index):
    (found,) = index.retrieve(["water in the kettle"], 2)
    assert next(passage.id for passage in found) == "d1"
    assert [passage.meta["rank"] for passage in found] == [1, 2]
    assert found[0].meta["score"] >= found[1].meta["score"]


def test_settings_round_trip():
    chosen = Settings(factory="HNSW32", lexical=la.bm25(k1=1.2), min_recall=0.9, dtype="float16")
    assert Settings.recorded(json.loads(json.dumps(chosen.record()))) == chosen
    assert Settings.recorded(Settings(lexical=None).record()).lexical is None
