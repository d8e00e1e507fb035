"""Expansions for other tools: a list of queries, Pyserini's topics, PyTerrier's frames."""

from __future__ import annotations

import gzip
import importlib
import sys
from importlib.util import find_spec

import pytest

import llmaug as la
from llmaug.errors import (
    MissingExtra,
    OutputError,
    PlanError,
    RequestRefused,
    RowsFailed,
    TextError,
)
from llmaug.retrieval.expander import Expander
from llmaug.retrieval.pyterrier import LlmaugExpander, expanded_texts
from llmaug.retrieval.query_file import QueryFile
from llmaug.retrieval.topics import expanded_queries, write_topics

QUERIES = {"a": "hot water", "b": "light  for\ta tent"}
EXPANSIONS = {"a": ["kettle\nboils", "tea"], "b": []}
needs_pyterrier = pytest.mark.skipif(
    find_spec("pyterrier") is None, reason="needs the extra pyterrier"
)


def answering(*replies):
    """A model that gives one of these to each of its requests, in turn."""
    turns = iter(replies * 100)
    return la.FakeBackend(lambda request: next(turns))


def test_a_query_becomes_a_list_that_it_heads():
    several = Expander("hyde(n=3)", lm=answering("boils", "hot water", "tea"))
    assert several("hot water") == ["hot water", "boils", "tea"]
    assert str(several) == "expander('hyde(n=3)', lm='fake')"


def test_a_query_for_which_nothing_was_written_is_alone():
    assert Expander("hyde(n=1)", lm=answering("Hot water."))("hot water") == ["hot water"]
    assert Expander("keep()")("?") == ["?"]
    assert Expander("keep()").batch([]) == []


def test_several_queries_at_once():
    several = Expander("hyde(n=1)", lm="fake:")
    long = "word " * 1_999 + "last"
    written = several.batch(["x", "big tent", long])
    assert [queries[0] for queries in written] == ["x", "big tent", long]


@pytest.mark.parametrize("query", ["", "  ", None, 3])
def test_what_is_no_query_is_refused(query):
    with pytest.raises(TextError, match="a query is a text"):
        Expander("keep()")(query)


def test_a_failing_model_is_told():
    def refuse(request):
        raise RequestRefused("too long")

    with pytest.raises(RowsFailed, match="too long"):
        Expander("hyde(n=1)", lm=la.FakeBackend(refuse))("hot water")


def test_a_plan_that_needs_an_index_is_refused_before_the_model_is_asked():
    model = la.FakeBackend()
    with pytest.raises(PlanError, match="needs an index"):
        Expander("passages(k=1)", lm=model)("hot water")
    assert model.asked == 0


@pytest.mark.parametrize(
    ("combine", "a"),
    [
        ("concat()", "hot water kettle boils tea"),
        ("concat(repeat=2)", "hot water hot water kettle boils tea"),
        ("mugi_concat(beta=1)", "hot water kettle boils tea"),
        ("alone()", "kettle boils tea"),
    ],
)
@pytest.mark.parametrize("name", ["topics.tsv", "topics.tsv.gz"])
def test_topics_are_one_line_each(combine, a, name, tmp_path):
    path = tmp_path / name
    assert write_topics(path, QUERIES, EXPANSIONS, combine=combine) == 2
    content = path.read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    assert content.decode() == f"a\t{a}\nb\tlight for a tent\n"
    assert list(la.read_queries(path)) == ["a", "b"]


def test_what_cannot_be_topics_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"end the name with \.tsv"):
        write_topics(tmp_path / "topics.txt", QUERIES, EXPANSIONS)
    with pytest.raises(PlanError, match="no single text"):
        write_topics(tmp_path / "topics.tsv", QUERIES, EXPANSIONS, combine="mix()")
    assert not list(tmp_path.iterdir())


def test_a_query_without_expansions_stays_as_it_is():
    assert expanded_queries(QUERIES, {}, combine="concat(repeat=5)") == QUERIES


def test_queries_are_rows_that_carry_themselves(tmp_path):
    la.write_queries(tmp_path / "q.jsonl", QUERIES)
    (tmp_path / "q.csv").write_text('id,text\na,hot water\nb,"light  for\ta tent"\n')
    one, other = QueryFile(tmp_path / "q.jsonl", also={"plan": "p"}), QueryFile(tmp_path / "q.csv")
    assert [row.meta for row in one] == [{"query": text, "plan": "p"} for text in QUERIES.values()]
    assert one.fields() == {"query", "plan"}
    assert one.fingerprint() == other.fingerprint()
    assert one.row_estimate() == 2


def test_equal_queries_are_expanded_once():
    model = answering("kettle")
    found = expanded_texts(Expander("hyde(n=1)", lm=model), ["tea", "x"], combine="concat()")
    assert found == {"tea": "tea kettle", "x": "x kettle"}
    assert model.asked == 2


def test_a_missing_pyterrier_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyterrier", None)
    monkeypatch.delitem(sys.modules, "llmaug.retrieval.pyterrier")
    module = importlib.import_module("llmaug.retrieval.pyterrier")
    with pytest.raises(MissingExtra, match=r"llmaug\[pyterrier\]"):
        module.LlmaugExpander("keep()")


@needs_pyterrier
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_pyterrier_keeps_the_query_before():
    pd = pytest.importorskip("pandas")
    rows = [["1", "tea", "first"], ["2", "x", "second"], ["3", "tea", "third"]]
    frame = pd.DataFrame(rows, columns=["qid", "query", "query_0"])
    model = answering("kettle")
    found = LlmaugExpander("hyde(n=1)", lm=model, combine="concat(repeat=2)")(frame)
    assert found["query"].tolist() == ["tea tea kettle", "x x kettle", "tea tea kettle"]
    assert found["query_0"].tolist() == ["tea", "x", "tea"]
    assert found["query_1"].tolist() == ["first", "second", "third"]
    assert frame["query"].tolist() == ["tea", "x", "tea"]
    assert model.asked == 2
    nothing = LlmaugExpander("hyde(n=1)", lm=model)(frame.iloc[:0])
    assert len(nothing) == 0
    assert "query_0" in nothing.columns
