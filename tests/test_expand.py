"""Searching with expansions: who is expanded, what is counted, what is refused."""

from __future__ import annotations

import pytest
from tiny_embedder import write_tiny_embedder

import llmaug as la
from llmaug.embedders.embed import FakeEmbedder
from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval.combine import COMBINATIONS, concat, max_of
from llmaug.retrieval.expand import search_expanded
from llmaug.retrieval.expansions import write_expansions

pytest.importorskip("faiss", reason="needs the extra retrieval")

DOCUMENTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "a quiet vacuum cleaner that picks up hair of dogs",
    "d4": "water leaks from the bottom of the coffee machine",
    "d5": "the battery of the torch lasts a weekend of camping",
}
QUERIES = {"a": "hot water", "b": "light for a tent", "c": "broken sound"}
EXPANSIONS = {"a": ["kettle boils"], "b": ["torch battery", "camping weekend"], "c": []}
MODES = ("dense", "bm25", "hybrid")


class Listening(FakeEmbedder):
    """Remembers what it encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[str] = []

    def encode(self, texts, *, side=""):
        self.encoded += texts
        return super().encode(texts, side=side)


def built(folder, embedder):
    texts = [la.Text(text, id, id) for id, text in DOCUMENTS.items()]
    return la.Index.build(texts, folder, embedder=embedder)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return built(tmp_path_factory.mktemp("expand") / "index", la.embedder("fake"))


@pytest.mark.parametrize("mode", [None, *MODES])
def test_queries_that_are_not_expanded_keep_their_ranking(index, mode):
    plain = la.search(index, QUERIES, mode=mode)
    gate = {"a": True, "b": False, "c": True}
    found = search_expanded(index, QUERIES, EXPANSIONS, mode=mode, gate=gate)
    assert (found.expanded, found.plain, found.empty) == (1, 1, 1)
    assert {id: list(found.rankings[id].items()) for id in "bc"} == {
        id: list(plain[id].items()) for id in "bc"
    }
    assert found.rankings["a"] != plain["a"]
    always = search_expanded(index, QUERIES, EXPANSIONS, mode=mode)
    assert found.rankings["a"] == pytest.approx(always.rankings["a"], abs=1e-6)


def test_paths_and_names_are_taken_too(index, tmp_path):
    write_expansions(tmp_path / "e.jsonl", EXPANSIONS, queries=QUERIES)
    (tmp_path / "q.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in QUERIES.items()))
    found = search_expanded(
        index, tmp_path / "q.tsv", tmp_path / "e.jsonl", combine="max", mode="dense", k=2
    )
    assert found.rankings == max_of().search(index, QUERIES, EXPANSIONS, k=2, mode="dense")


def test_a_fusion_of_two_sides_can_be_chosen(index):
    found = search_expanded(
        index, QUERIES, EXPANSIONS, combine="concat", mode="hybrid", fusion="convex(weight=1)"
    )
    dense = concat().search(index, QUERIES, EXPANSIONS, mode="dense")
    assert list(found.rankings["a"]) == list(dense["a"])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_each_text_of_a_batch_is_encoded_once(tmp_path, name):
    embedder = Listening()
    index = built(tmp_path / "index", embedder)
    mode = "hybrid" if name == "four_way" else "dense"
    embedder.encoded.clear()
    expansions = {"a": ["tea", "tea"], "b": ["tea"], "c": ["tea", "cocoa"]}
    search_expanded(index, QUERIES, expansions, combine=name, mode=mode)
    assert len(embedder.encoded) == len(set(embedder.encoded))
    assert embedder.encoded


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("query", ["?", "x", "水", "word " * 2_000], ids=["?", "x", "水", "long"])
def test_a_query_of_any_length_works(index, name, mode, query):
    try:
        found = search_expanded(index, {"q": query}, {"q": ["kettle"]}, combine=name, mode=mode)
    except PlanError:
        assert name in ("mix", "four_way")
        return
    assert found.expanded == 1
    assert "d1" in found.rankings["q"]


def test_truncated_queries_are_counted_where_query_and_expansion_are_one_text(tmp_path):
    pytest.importorskip("sentence_transformers")
    (tmp_path / "tiny").mkdir()
    embedder = la.embedder(str(write_tiny_embedder(tmp_path / "tiny")), device="cpu")
    index = built(tmp_path / "index", embedder)
    # It reads 64 tokens, of which two mark the ends.
    expansions = {"a": ["film " * 60], "b": ["film " * 61], "c": ["good"]}
    queries = {"a": "the film", "b": "the film", "c": "film " * 200}
    count = {
        how: search_expanded(index, queries, expansions, combine=how, mode=mode).truncated
        for how, mode in (
            ("concat()", "dense"),
            ("concat(repeat=2)", "hybrid"),
            ("alone()", "dense"),
            ("mix()", "dense"),
            ("concat(repeat=5)", "bm25"),
        )
    }
    assert list(count.values()) == [2, 3, 0, 0, 0]
    found = search_expanded(index, queries, expansions, combine="concat()", mode="dense")
    assert (
        found.counts() == "3 queries: 3 expanded, 2 longer than the encoder reads, their end "
        "cut off"
    )


def test_an_encoder_that_cannot_tell_what_it_cuts_leaves_the_count_open(index):
    found = search_expanded(index, QUERIES, EXPANSIONS, combine="concat", mode="dense")
    assert found.truncated is None
    assert found.counts() == (
        "3 queries: 2 expanded, 1 without a usable expansion, searched as they are"
    )


def test_expansions_of_other_queries_are_refused(index):
    with pytest.raises(RetrievalError, match=r"none of their ids \(z, …\) is among .* \(a, …\)"):
        search_expanded(index, QUERIES, {"z": ["tea"]})


def test_a_gate_that_lacks_a_query_is_refused(index):
    with pytest.raises(RetrievalError, match="the gate says nothing of query 'c'"):
        search_expanded(index, QUERIES, EXPANSIONS, gate={"a": True, "b": True})


def test_without_any_expansion_all_is_as_ever(index):
    found = search_expanded(index, QUERIES, {})
    assert found.rankings == la.search(index, QUERIES)
    assert (found.expanded, found.empty) == (0, 3)


def test_a_combination_is_refused_before_anything_is_searched(index):
    with pytest.raises(PlanError, match="words have no vectors to mix"):
        search_expanded(index, QUERIES, EXPANSIONS, combine="mix", mode="bm25")
