"""An index on disk: built, searched, and refused when it is not as it was written."""

from __future__ import annotations

import json

import pytest
from small_index import TEXTS, documents, edition

import llmaug as la
from llmaug.errors import RetrievalError, TextError

pytest.importorskip("faiss", reason="needs the extra retrieval")


@pytest.fixture
def index(tmp_path):
    return la.Index.build(documents(), tmp_path / "index", embedder=la.embedder("fake"))


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
        documents(), tmp_path / "dense", embedder="fake", settings=la.Settings(lexical=None)
    )
    assert (words.modes, dense.modes) == (["bm25"], ["dense"])
    with pytest.raises(RetrievalError, match="built for bm25 only"):
        la.search(words, ["water"], mode="hybrid")
    with pytest.raises(RetrievalError, match="did you mean dense"):
        la.search(words, ["water"], mode="dens")


def test_many_equal_documents_are_cut_by_their_ids(tmp_path):
    texts = {f"d{i:03}": "water in the kettle" for i in range(100)}
    made = la.Index.build(documents(**texts, other="dogs"), tmp_path / "i", embedder="fake")
    for mode in made.modes:
        found = la.search(made, ["water in the kettle"], k=3, mode=mode)
        assert list(found["0"]) == ["d099", "d098", "d097"]


def test_an_index_does_not_say_where_queries_are_sent(index):
    path = edition(index.folder) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    made = manifest["about"]["dense"]["embedder"]
    made["name"], made["parameters"] = "served:m", {"base_url": "http://192.0.2.1/v1"}
    path.write_text(json.dumps(manifest))
    with pytest.raises(RetrievalError, match=r"--embedder-url http://192\.0\.2\.1/v1"):
        la.search(index.folder, ["water"], mode="dense")


@pytest.mark.parametrize("field", ["dense", "identity", "settings", "lexical"])
def test_a_damaged_manifest_is_one_line(index, field):
    path = edition(index.folder) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["about"][field]
    path.write_text(json.dumps(manifest))
    with pytest.raises(RetrievalError, match="damaged"):
        la.Index.open(index.folder)


@pytest.mark.parametrize(
    "options", [{"k": 0}, {"k": 1.5}, {"depth": 0}, {"batch": True}, {"mode": "nope"}]
)
def test_a_search_with_wrong_numbers_is_one_line(index, options):
    with pytest.raises(RetrievalError):
        la.search(index, ["water"], **options)


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


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "a"], "comes twice"),
        (["a b"], "white space"),
        (["a\0b"], "UTF-8"),
        ([""], "is empty"),
        ([], "empty"),
    ],
)
def test_a_corpus_that_no_ranking_could_name_is_refused(tmp_path, ids, message):
    corpus = [la.Text("some text", id, id) for id in ids]
    with pytest.raises(TextError, match=message):
        la.Index.build(corpus, tmp_path / "index", embedder="fake")


def test_documents_that_are_no_texts_are_refused(tmp_path):
    with pytest.raises(TextError, match=r"write llmaug\.Text"):
        la.Index.build(["a text"], tmp_path / "i", embedder="fake")


def test_a_folder_that_looks_like_ours_keeps_what_is_not(tmp_path):
    book = tmp_path / "book"
    (book / "vectors").mkdir(parents=True)
    (book / "edition-first").mkdir()
    (book / "edition-first" / "novel.txt").write_text("years of work")
    with pytest.raises(RetrievalError, match="holds edition-first and no index"):
        la.Index.build(documents(), book, embedder="fake")
    assert (book / "edition-first" / "novel.txt").exists()


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
    chosen = la.Settings(factory="HNSW32", lexical=la.bm25(k1=1.2), min_recall=0.9, dtype="float16")
    assert la.Settings.recorded(json.loads(json.dumps(chosen.record()))) == chosen
    assert la.Settings.recorded(la.Settings(lexical=None).record()).lexical is None


def test_settings_that_are_none_of_ours_are_one_line(tmp_path):
    with pytest.raises(
        RetrievalError, match=r"settings are llmaug\.Settings\(…\), not {'seed': 1}"
    ):
        la.Index.build(documents(), tmp_path / "i", embedder="fake", settings={"seed": 1})
