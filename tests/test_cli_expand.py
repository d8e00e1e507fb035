"""`llmaug expand`, and a search that expands its queries, from the shell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from expansion_app import QUERIES, refused, run, small_collection

import llmaug as la
from llmaug.backends.counted import Counted
from llmaug.cli.expanded_search import asked_for
from llmaug.cli.stages import Stages
from llmaug.errors import RequestRefused
from llmaug.retrieval.expansions import read_expansions

pytest.importorskip("faiss", reason="needs the extra retrieval")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return small_collection(tmp_path_factory.mktemp("collection"))


@pytest.fixture(autouse=True)
def here(collection, tmp_path, monkeypatch):
    for name in ("index", "queries.jsonl", "expansions.jsonl"):
        os.symlink(collection / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)


def search(*words):
    return run("search", "index", "queries.jsonl", "-o", "run.trec", *words)


def rows(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_row_says_what_is_needed_to_replay_it():
    done = run("expand", "queries.jsonl", "hyde(n=2)", "-o", "e.jsonl", "--lm", "fake:")
    assert done.exit_code == 0
    assert "4 rows in = 4 done + 0 failed" in done.output
    first = rows("e.jsonl")[0]
    made = {name: first[name] for name in ("root", "query", "plan", "model")}
    assert made == {"root": "a", "query": "hot water", "plan": "hyde(n=2)", "model": "fake"}
    assert first["made_by"].startswith("hyde(n=2)@")
    assert Path("e.jsonl.run/manifest.json").exists()
    found = read_expansions("e.jsonl")
    assert set(found["a"]) <= {"water hot", "hot water"}
    done = search("--expansions", "e.jsonl")
    assert done.exit_code == 0


def test_a_run_goes_on_where_it_stopped():
    begin = ("expand", "queries.jsonl", "hyde(n=1)", "-o", "e.jsonl", "--lm", "fake:")
    assert run(*begin, "--limit", "2").exit_code == 0
    done = run(*begin)
    assert "(2 of them by an earlier run)" in done.output
    assert "2 calls" in done.output
    said = refused("expand", "queries.jsonl", "keywords()", *begin[3:])
    assert "begun with another plan" in said


@pytest.mark.parametrize("name", ["queries.tsv", "topics.trec", "folder"])
def test_queries_are_read_as_everywhere(name):
    path = Path(name)
    if name == "folder":
        path.mkdir()
        Path("queries.jsonl").rename(path / "queries.jsonl")
    elif path.suffix == ".tsv":
        path.write_text("a\thot water\n")
    else:
        path.write_text("<top>\n<num> Number: 301\n<title> hot water\n</top>\n")
    done = run("expand", name, "keywords()", "-o", "e.jsonl", "--lm", "fake:")
    assert done.exit_code == 0, done.output


def test_topics_join_query_and_expansions():
    done = run(
        *("expand", "queries.jsonl", "keep()", "-o", "e.jsonl", "--topics", "t.tsv"),
        *("--combine", "concat(repeat=2)"),
    )
    assert "0 of 4 queries have an expansion" in done.output
    assert Path("t.tsv").read_text().splitlines()[:2] == ["a\thot water", "b\tlight for a tent"]


def test_a_dry_run_sends_and_writes_nothing():
    done = run(
        "expand", "queries.jsonl", "hyde(n=2)", "-o", "e.jsonl", "--lm", "fake:", "--dry-run"
    )
    assert "nothing was sent" in done.output
    assert not Path("e.jsonl.run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("passages(k=1) -o e.jsonl", "needs an index; give one with --index"),
        ("lamer() -o e.jsonl --lm fake:", "needs an index; give one with --index"),
        ("hyde() -o e.jsonl", "needs a language model"),
        ("hyd() -o e.jsonl", "did you mean hyde?"),
        ("hyde() -o e.txt", "e.txt: expansions are written as .jsonl"),
        ("hyde() -o -", "name a file"),
        ("hyde() -o e.jsonl --combine concat()", "name a file for them"),
        ("hyde() -o e.jsonl --topics t.txt", "end the name with .tsv"),
        ("hyde() -o e.jsonl --topics t.tsv --combine mix()", "take concat() or mugi_concat()"),
        ("hyde() -o e.tsv --topics e.tsv", "e.tsv is the output too"),
        ("hyde() -o e.jsonl --base-url http://x", "nothing here asks a server"),
        ("hyde() -o e.jsonl --lm fake: --lm-option x", "write KEY=VALUE"),
        ("hyde() -o e.jsonl --lm fake: --lm-option key=x", "from the environment only"),
        ("hyde() -o e.jsonl --lm-option x=1", "--lm-option is for --lm"),
    ],
)
def test_what_expand_refuses(words, said):
    plan, *options = words.split()
    assert said in refused("expand", "queries.jsonl", plan, *options)
    assert not Path("e.jsonl").exists()


def test_a_search_expands_and_counts():
    done = search(
        *("--expand", "hyde(n=1)", "--lm", "fake:", "--combine", "mix(weight=0.3)"),
        *("--mode", "dense", "--save-expansions", "s.jsonl"),
    )
    assert "4 calls of the language model" in done.output
    assert len(la.read_rankings("run.trec")) >= 3
    saved = read_expansions("s.jsonl")
    assert list(saved) == list(QUERIES)
    assert saved["c"] == []  # the model only repeated it
    again = search("--expand", "hyde(n=1)", "--lm", "fake:", "--mode", "dense")
    assert "\n0 calls of the language model" in again.output
    assert Path("run.trec.replies.sqlite").exists()


def test_only_what_the_gate_chooses_is_sent_to_the_model():
    gate = "threshold(feature='words', above=2)"
    done = search(
        *("--expand", "hyde(n=1)", "--lm", "fake:", "--gate", gate, "--save-expansions", "s.jsonl")
    )
    assert "2 left as they are by the gate" in done.output
    assert "2 calls of the language model" in done.output
    assert set(read_expansions("s.jsonl")) == {"b", "d"}
    plain = la.search("index", "queries.jsonl", k=3)
    assert la.read_rankings("run.trec")["a"] == pytest.approx(plain["a"])


def test_a_gate_that_looks_at_the_expanded_ranking_decides_afterwards():
    gate = "threshold(feature='after_words', above=1)"
    done = search("--expansions", "expansions.jsonl", "--gate", gate, "--mode", "dense")
    assert "1 expanded, 3 left as they are by the gate" in done.output
    # The best 10 without and with expansion are compared, though 3 are asked for.
    gate = "threshold(feature='after_overlap', above=0.4)"
    done = search("--expansions", "expansions.jsonl", "--gate", gate, "--mode", "dense")
    assert "1 expanded" in done.output


def test_empty_and_absent_expansions_fall_back_and_are_counted():
    done = search("--expansions", "expansions.jsonl")
    assert "4 queries: 1 expanded, 3 without a usable expansion" in done.output
    assert "note: 2 of the queries are not in expansions.jsonl" in done.output


def test_queries_for_which_the_model_fails_are_searched_as_they_are(capsys):
    def answer(request):
        if "tent" in request.messages[-1].content:
            raise RequestRefused("too long")
        return "kettle"

    expanding = asked_for(expand="hyde(n=1)", lm="fake:")
    expanding.models = {"lm": Counted(la.FakeBackend(answer))}
    with Stages() as shown:
        found = expanding.search(la.Index.open("index"), QUERIES, shown=shown, mode="bm25", k=3)
    assert list(found) == list(QUERIES)
    with pytest.raises(Exception) as ended:  # noqa: PT011  # typer's way to an exit status
        expanding.close()
    assert ended.value.exit_code == 1
    assert "failed for 1 queries, searched as they are; the first: b:" in capsys.readouterr().err


def test_one_query_is_explained():
    done = search("--expansions", "expansions.jsonl", "--explain", "a", "--gate", "always()")
    assert "expansion 1 of 1:\n  kettle boils" in done.output
    assert "the gate always() expands this query" in done.output
    done = search("--expansions", "expansions.jsonl", "--explain", "a", "--gate", "never()")
    assert "no usable expansion" in done.output
    assert "does not expand this query" in done.output
    assert not Path("run.trec").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--expand hyde() --expansions expansions.jsonl", "give one of both"),
        ("--gate always()", "--gate is for a search with --expand PLAN or --expansions FILE"),
        ("--lm fake: --expansions expansions.jsonl", "--lm is for a search with --expand PLAN"),
        ("--expand hyde()", "needs a language model"),
        ("--expand hyd() --lm fake:", "did you mean hyde?"),
        ("--expansions expansions.jsonl --combine mx()", "did you mean mix or max?"),
        ("--expansions expansions.jsonl --gate leaned(x)", "did you mean learned?"),
        ("--expansions expansions.jsonl --gate learned(x.json)", "x.json cannot be read"),
        ("--expansions expansions.jsonl --combine mix() --mode bm25", "cannot search by bm25"),
        ("--expansions expansion.jsonl", "does not exist"),
        ("--expansions expansions.jsonl --explain z", "there is no such query; known: a, b, c, d"),
        ("--expand hyde() --lm fake: --save-expansions s.csv", "name it .jsonl"),
    ],
)
def test_what_a_search_refuses(words, said):
    done = search(*words.split())
    assert said in str(done.exception)
    assert not Path("run.trec").exists()


def test_a_gate_needs_what_the_index_has(tmp_path):
    (tmp_path / "words").mkdir()
    small_collection(tmp_path / "words", embedder=None)
    said = refused(
        *("search", "words/index", "queries.jsonl", "--expansions", "expansions.jsonl"),
        *("--gate", "threshold(below=0.5)"),
    )
    assert "lacks the feature top1" in said
