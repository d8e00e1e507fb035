"""`rm3`: the words of the best documents, weighted, without a language model."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

import llmaug as la
from llmaug import notation
from llmaug.errors import PlanError
from llmaug.methods.corpus_fed import csqe, lamer, thinkqe
from llmaug.steps.rm3 import RM3, mixed, relevance_model, repeated
from llmaug.testing_step import StepContext, check_step
from llmaug.vocabulary import NAMES

KNOWN = {**NAMES, "rm3": RM3, "lamer": lamer, "csqe": csqe, "thinkqe": thinkqe}
CORPUS = [
    la.Text("the kettle boils water", "d1", "d1", "", {"title": "Kettles"}),
    la.Text("dogs and their hair", "d2", "d2"),
    la.Text("water leaks from the machine", "d3", "d3"),
]


def scored(text: str, score: object) -> la.Text:
    return la.Text(text, text, text, "", {"score": score})


def expanded(step, query, corpus=CORPUS):
    root = la.Text(query, "q", "q")
    ctx = StepContext(root=root, corpus=corpus)
    return asyncio.run(step.apply([root], ctx)), [reason for _, reason in ctx.drops]


@pytest.mark.parametrize("step", [RM3(), RM3(documents=1, terms=2, weight=0.2)], ids=str)
def test_it_keeps_the_laws_of_a_step(step):
    check_step(step, names=KNOWN)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("rm3(documents=0)", "documents must be a whole number from 1 to 1,000"),
        ("rm3(terms=101)", "terms must be a whole number from 1 to 100"),
        ("rm3(weight=1.5)", "weight must be a number from 0 to 1"),
        ("rm3(weight=True)", "weight must be a number from 0 to 1"),
        ("rm3()", r"rm3\(\) needs an index; give one with --index"),
    ],
)
def test_values_that_make_no_sense_and_no_index_are_refused(plan, message):
    with pytest.raises(PlanError, match=message):
        list(la.augment(notation.parse(plan, KNOWN), ["text"]))


def test_a_words_share_is_its_frequency_by_the_documents_score():
    passages = [scored("water water kettle", 3.0), scored("kettle dogs", 1.0)]
    model = relevance_model(passages, 3)
    assert model == pytest.approx({"water": 0.5, "kettle": 0.25 + 0.125, "dogs": 0.125})
    assert list(relevance_model(passages, 2)) == ["water", "kettle"]
    assert sum(relevance_model(passages, 2).values()) == pytest.approx(1)


@pytest.mark.parametrize("scores", [(None, None), (0.0, -0.5), (float("nan"), float("inf"))])
def test_documents_without_a_score_above_zero_count_alike(scores):
    passages = [scored("water", scores[0]), scored("dogs", scores[1])]
    assert relevance_model(passages, 2) == {"dogs": 0.5, "water": 0.5}


def test_stop_words_single_letters_and_long_tokens_are_no_terms():
    assert relevance_model([scored(f"The a I {'x' * 21} Water, 2023!", 1)], 9) == {
        "2023": 0.5,
        "water": 0.5,
    }
    assert relevance_model([scored("the of and", 1)], 9) == {}


def test_the_query_keeps_its_weight():
    assert mixed("water", {"kettle": 1.0}, 0.7) == pytest.approx({"water": 0.7, "kettle": 0.3})
    assert mixed("water", {"water": 1.0}, 0.5) == {"water": 1.0}
    assert mixed("water", {"kettle": 1.0}, 0) == {"kettle": 1.0}
    assert mixed("to be or not", {"kettle": 1.0}, 0.5) == {"kettle": 1.0}
    assert mixed("water", {}, 0.5) == {"water": 1.0}


def test_weights_are_repetitions_and_no_word_is_lost():
    assert Counter(repeated({"a": 0.5, "b": 0.333, "c": 0.167})) == {"a": 50, "b": 33, "c": 17}
    rare = repeated({"common": 0.999, "rare": 0.001})
    assert Counter(rare) == {"common": 99, "rare": 1}
    assert len(set(repeated({str(n): 1 / 300 for n in range(300)}))) == 300


def test_the_expansion_holds_query_and_documents():
    ((text,), drops) = expanded(RM3(documents=2, terms=3), "boiling water")
    counts = Counter(text.text.split())
    assert (text.id, text.made_by) == ("q/rm3.0", "rm3(documents=2, terms=3)")
    assert counts.total() == 100
    assert counts["boiling"] == 25
    assert counts["water"] > 25
    assert len(text.meta["passage_ids"]) == 2
    assert drops == []
    assert expanded(RM3(documents=2, terms=3), "boiling water")[0] == [text]


def test_where_nothing_is_found_the_reason_is_counted():
    assert expanded(RM3(), "water", corpus=[]) == ([], ["no passages found"])
    only_stop_words = [la.Text("of the", "d", "d")]
    assert expanded(RM3(), "the", corpus=only_stop_words) == ([], ["no terms found"])


@pytest.fixture
def index(tmp_path):
    pytest.importorskip("faiss", reason="needs the extra retrieval")
    return la.Index.build(CORPUS, tmp_path / "index", embedder="fake")


def test_expansions_from_a_real_index(index, tmp_path):
    queries = ["boiling water in a kettle", "dog hair", "w", "kettle " * 2_000]
    plan = notation.parse("rm3(documents=2) + lamer(n=1) + csqe(n=1) + thinkqe(rounds=2)", KNOWN)
    made = list(la.augment(plan, queries, lm=la.FakeBackend(), index=index))
    first = [text for text in made if text.root == "0"]
    assert first[0].id == "0/rm3.0"
    assert "kettle" in first[0].text.split()
    assert {text.id.split("/")[1] for text in first} >= {"rm3.0", "lamer.0", "csqe.0", "thinkqe.0"}
    again = list(la.augment(plan, queries, lm=la.FakeBackend(), index=index, window=1))
    assert again == made
    backwards = list(la.augment(plan, [la.Text(queries[0], "0", "0")], lm="fake:", index=index))
    assert backwards == first


def test_a_method_over_a_file_needs_no_field_that_it_finds_itself(index, tmp_path):
    source = tmp_path / "queries.jsonl"
    source.write_text('{"id": "a", "text": "boiling water"}\n')
    plan = notation.parse("lamer(n=1)", KNOWN)
    (text,) = la.augment(plan, la.read(source), lm="fake:", index=index)
    assert sorted(text.text.split()) == ["boiling", "water"]
