"""`llmaug gate fit` and `llmaug gate show`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from expansion_app import refused, run

import llmaug as la
from llmaug.retrieval.gate import parse_gate

pytest.importorskip("faiss", reason="needs the extra retrieval")
pytest.importorskip("pytrec_eval", reason="needs the extra retrieval")

SENTENCE = (
    "kettle water boils torch battery camping tent vacuum dogs hair quiet machine coffee leaks "
    "headphones earcup died nine days weekend"
)
WORDS = SENTENCE.split()


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """45 queries, 42 of them judged; the expansion of every second one is a relevant document."""
    folder, chance = tmp_path_factory.mktemp("labelled"), random.Random(0)
    texts = {f"d{n}": " ".join(chance.choices(WORDS, k=8)) for n in range(60)}
    documents = [la.Text(text, id, id) for id, text in texts.items()]
    la.Index.build(documents, folder / "index", embedder=la.embedder("fake"))
    queries = {f"q{n}": " ".join(chance.choices(WORDS, k=1 + n % 5)) for n in range(45)}
    la.write_queries(folder / "queries.jsonl", queries)
    qrels = {f"q{n}": dict.fromkeys(chance.sample(sorted(texts), 6), 1) for n in range(42)}
    la.write_qrels(folder / "qrels.tsv", qrels)
    rows = []
    for number, id in enumerate(queries):
        among = sorted(qrels.get(id, texts) if number % 2 else texts)
        rows.append({"_id": id, "query": queries[id], "expansion": texts[chance.choice(among)]})
    (folder / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def here(collection, monkeypatch):
    monkeypatch.chdir(collection)


def fit(*words):
    return (
        *("gate", "fit", "index", "queries.jsonl", "--qrels", "qrels.tsv"),
        *("--expansions", "e.jsonl", "--mode", "dense", *words),
    )


def test_a_gate_is_fitted_shown_and_used():
    done = run(*fit("--budget", "0.5", "-o", "gate.json"))
    assert done.exit_code == 0
    assert "42 rows, 10 folds, cross-fitted" in done.output
    assert "dense, nDCG@10, 42 queries: 42 expanded; 3 further queries have no" in done.output
    shown = run("gate", "show", "gate.json").output
    assert parse_gate("learned(gate.json)").fingerprint in shown
    assert "budget: 0.5" in shown
    assert "expands a query whose score is above" in shown
    done = run(
        *("search", "index", "queries.jsonl", "--expansions", "e.jsonl", "-o", "run.trec"),
        *("--gate", "learned(gate.json)", "--mode", "dense"),
    )
    assert "left as they are by the gate" in done.output


@pytest.mark.parametrize("kind", [["--per-collection"], ["--budget", "0.5"]])
def test_a_gate_is_refused_in_another_search(kind):
    assert run(*fit(*kind, "-o", "dense.json")).exit_code == 0
    gate = f"{'collection' if '--per-collection' in kind else 'learned'}(dense.json)"
    search = (
        *("search", "index", "queries.jsonl", "--expansions", "e.jsonl", "-o", "run.trec"),
        *("--gate", gate),
    )
    said = refused(*search, "--mode", "bm25")
    assert "fitted for the mode dense, and this search has bm25" in said
    said = refused(*search, "--mode", "dense", "--combine", "max()")
    assert "the combination mix(" in said
    assert "this search has max(" in said
    assert "the mode dense" in refused(*search, "--mode", "bm25", "--explain", "q1")
    assert run(*search, "--mode", "dense").exit_code == 0


def test_the_fusion_and_its_depth_are_those_of_the_search():
    hybrid = ("--mode", "hybrid")
    steep = ("--fusion", "rrf(k=1)", "--depth", "20")
    feature = ("--feature", "after_top1")
    for name, options in (("h.json", steep), ("rrf.json", ())):
        assert run(*fit(*hybrid, *options, *feature, "-o", name)).exit_code == 0
    shown = run("gate", "show", "h.json").output
    assert 'for the fusion: "rrf(k=1' in shown
    assert "for the depth: 20" in shown
    assert 'for the measure: "nDCG@10"' in shown
    ranges = [parse_gate(f"learned({name})").learned.model for name in ("h.json", "rrf.json")]
    assert ranges[0] != ranges[1]
    assert ranges[0].features[0].high > 0.1 > ranges[1].features[0].high  # RRF scores are small


def test_the_same_seed_gives_the_same_gate():
    for name in ("one.json", "two.json"):
        run(*fit("--most-worse", "0.1", "--seed", "3", "-o", name))
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()


def test_features_can_be_named():
    run(*fit("--feature", "top1", "--feature", "after_overlap", "-o", "after.json"))
    gate = parse_gate("learned(after.json)")
    assert gate.needs == ("after_overlap", "top1")
    assert gate.after


def test_a_collection_is_decided_at_once():
    done = run(*fit("--per-collection", "-m", "R@10", "-o", "pilot.json"))
    assert "over 42 training queries" in done.output
    assert "--gate \"collection('pilot.json')\"" in done.output
    assert "query" in run("gate", "show", "pilot.json").output


def test_a_cost_curve_is_drawn():
    pytest.importorskip("matplotlib", reason="needs the extra report")
    assert run(*fit("--plot", "cost.png", "-o", "drawn.json")).exit_code == 0
    assert Path("cost.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-m nDCG@1O", "nDCG"),
        ("--combine mx()", "did you mean mix or max?"),
        ("--combine mugi_concat(beta=0)", "beta must be a number above 0"),
        ("--feature tpo1", "did you mean top1"),
        ("--per-collection --budget 0.5", "--budget is for a gate over queries"),
        ("--plot cost.gif", "cost.gif: no picture"),
        ("--fusion rrf()", "--fusion is for --mode hybrid, and this search is by dense"),
        ("--depth 5", "--depth is for --mode hybrid or a --combine that fuses rankings"),
        ("--mode dens", "did you mean dense?"),
        ("--qrels .", "name the file of judgements"),
    ],
)
def test_what_fit_refuses(words, said):
    assert said in refused(*fit("-o", "none.json", *words.split()))
    assert not Path("none.json").exists()


def test_a_folder_that_is_not_there_is_told_before_the_work():
    assert "nowhere" in refused(*fit("-o", "nowhere/gate.json"))


def test_judgements_of_other_queries_are_refused(tmp_path):
    la.write_qrels(tmp_path / "other.tsv", {"z": {"d1": 1}})
    said = refused(*fit("-o", "none.json", "--qrels", str(tmp_path / "other.tsv")))
    assert "judges none of the queries" in said


def test_too_few_labelled_queries_are_refused(tmp_path):
    la.write_qrels(tmp_path / "few.tsv", {"q1": {"d1": 1}, "q2": {"d2": 1}})
    said = refused(*fit("-o", "none.json", "--qrels", str(tmp_path / "few.tsv")))
    assert "at least 30 labelled queries" in said


@pytest.mark.parametrize("content", ["{", "[]", '{"gate": "collection"}', "[" * 100_000])
def test_a_file_that_is_no_gate_is_refused(content, tmp_path):
    path = tmp_path / "no.json"
    path.write_text(content)
    assert "fit it again" in refused("gate", "show", path)
    assert "cannot be read" in refused("gate", "show", tmp_path / "absent.json")


def test_queries_that_the_expansions_lack_are_left_out_by_name(collection):
    rows = (collection / "e.jsonl").read_text().splitlines(keepends=True)
    (collection / "some.jsonl").write_text("".join(rows[:40]))
    done = run(*fit("--expansions", "some.jsonl", "-o", "some.json"))
    assert (
        "2 of 42 judged queries are not in some.jsonl and are left out, such as q40" in done.output
    )
    assert "40 rows, 10 folds" in done.output
