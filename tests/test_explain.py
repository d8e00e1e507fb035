"""What expansions did to one query's ranking, told."""

from __future__ import annotations

import pytest

import llmaug as la
from llmaug.retrieval.explain import explain

pytest.importorskip("faiss", reason="needs the extra retrieval")

DOCUMENTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "water leaks from the bottom of the coffee machine",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    texts = [la.Text(text, id, id) for id, text in DOCUMENTS.items()]
    folder = tmp_path_factory.mktemp("explain") / "index"
    return la.Index.build(texts, folder, embedder=la.embedder("fake"))


def test_what_moved_comes_with_its_ranks_and_words(index):
    told = explain(index, "coffee water", ["kettles boil", "minutes"], k=1, mode="bm25")
    assert [(moved.id, moved.before, moved.after) for moved in told.moved] == [
        ("d1", 2, 1),
        ("d3", 1, 2),
    ]
    assert told.moved[0].words == ("boil", "kettl", "minut")
    assert told.moved[1].words == ()
    assert told.moved[0].to_query is None


def test_cosines_are_to_the_query_and_to_the_nearest_expansion(index):
    told = explain(index, "coffee water", [DOCUMENTS["d1"], "tea"], mode="dense")
    by_id = {moved.id: moved for moved in told.moved}
    assert by_id["d1"].to_expansion == pytest.approx(1, abs=1e-6)
    plain = la.search(index, ["coffee water"], mode="dense")["0"]
    assert {id: moved.to_query for id, moved in by_id.items()} == pytest.approx(plain, abs=1e-6)


def test_it_prints_as_one_table(index):
    told = str(explain(index, "coffee water", ["kettles boil"], id="q7", k=2, mode="hybrid"))
    lines = told.split("\n")
    assert lines[:4] == ["query q7: coffee water", "", "expansion 1 of 1:", "  kettles boil"]
    assert lines[5].startswith("hybrid, four_way(dense='mix(weight=0.5)'")
    assert lines[7].startswith("now  before  query  expansion  document")
    assert any("d1 the kettle boils" in line and "boil, kettl" in line for line in lines)


def test_without_an_expansion_nothing_moves(index):
    told = explain(index, "water", [], mode="bm25")
    assert all(moved.before == moved.after and moved.words == () for moved in told.moved)
    assert "no usable expansion: searched as it is" in str(told)
