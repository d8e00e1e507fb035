"""Making expansions, and reading and writing files of them."""

from __future__ import annotations

import gzip
import json

import pytest

import llmaug as la
from llmaug.errors import OutputError, RequestRefused, RowsFailed, TextError
from llmaug.retrieval.expansions import (
    expand,
    read_expansions,
    usable,
    without_expansion,
    write_expansions,
)

QUERIES = {"a": "hot water", "b": "a light"}


def answering(**answers: str) -> la.FakeBackend:
    """A model that gives the answer whose word is in the prompt, and refuses other prompts."""

    def answer(request: la.Request) -> str:
        for word, text in answers.items():
            if word in request.messages[-1].content:
                return text
        raise RequestRefused("there is no answer to that")

    return la.FakeBackend(answer)


@pytest.fixture
def prompt(tmp_path):
    path = tmp_path / "write.prompty"
    path.write_text(
        "---\nname: write\nversion: 1\ndescription: d\nsource: none\n"
        "model:\n  parameters:\n    temperature: 0\n    max_tokens: 50\n"
        "inputs:\n  text: the query\noutput: text\n---\nuser:\nAbout {{ text }}\n"
    )
    return path


def rows(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_plan_writes_for_each_query(prompt):
    model = answering(hot="Kettles boil it.", light="A torch.")
    plan = f"keep() + generate({str(prompt)!r}, n=2)"
    assert expand(QUERIES, plan, lm=model) == {"a": ["Kettles boil it."] * 2, "b": ["A torch."] * 2}


@pytest.mark.parametrize("echo", ["hot water", ' "Hot Water." ', "HOT  WATER"])
def test_a_query_said_again_is_no_expansion(prompt, echo):
    model = answering(hot=echo, light="A torch.")
    made = expand(QUERIES, f"generate({str(prompt)!r})", lm=model)
    assert made == {"a": [], "b": ["A torch."]}
    assert without_expansion(QUERIES, made) == ["a"]


def test_a_refusal_is_no_expansion(prompt):
    model = answering(hot="I'm sorry, but I can't help with that.", light="A torch.")
    made = expand(QUERIES, f"generate({str(prompt)!r}) >> clean()", lm=model)
    assert made == {"a": [], "b": ["A torch."]}


def test_queries_that_fail_are_listed_or_raised(prompt):
    failed = []
    queries = {**QUERIES, "c": "cold"}
    model = answering(hot="Kettles boil it.", light="A torch.")
    plan = f"generate({str(prompt)!r})"
    made = expand(queries, plan, lm=model, failed=failed)
    assert made == {"a": ["Kettles boil it."], "b": ["A torch."]}
    assert [failure.root for failure in failed] == ["c"]
    with pytest.raises(RowsFailed, match="1 of 3 rows failed; the first: c"):
        expand(queries, plan, lm=model)


def test_what_is_written_is_read_back(tmp_path):
    expansions = {"a": ["one", "two\nlines"], "b": []}
    path = tmp_path / "e.jsonl.gz"
    assert write_expansions(path, expansions, queries=QUERIES) == 2
    assert read_expansions(path) == expansions
    assert json.loads(gzip.decompress(path.read_bytes()).splitlines()[0]) == {
        "_id": "a",
        "query": "hot water",
        "expansion": ["one", "two\nlines"],
    }


def test_the_output_of_a_run_is_read(tmp_path, prompt):
    queries = rows(tmp_path / "q.jsonl", *({"_id": i, "text": t} for i, t in QUERIES.items()))
    job = la.Job(
        la.parse(f"keep() + generate({str(prompt)!r}, n=2)"),
        la.read(queries),
        tmp_path / "out.jsonl",
        backends={"lm": answering(hot="Kettles boil it.", light="a light!")},
    )
    la.augment_file(job)
    assert read_expansions(tmp_path / "out.jsonl") == {"a": ["Kettles boil it."] * 2, "b": []}


def test_rows_of_other_programs_are_read(tmp_path):
    path = rows(
        tmp_path / "e.jsonl",
        {"_id": "a", "query": "hot water", "expansion": " kettle "},
        {"_id": "a", "query": "hot water", "expansion": ["tea", "", "Hot water?"]},
        {"_id": "b", "query": "a light", "expansion": None},
        {"_id": 7, "expansion": ""},
    )
    assert read_expansions(path) == {"a": ["kettle", "tea"], "b": [], "7": []}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"_id": "a", "text": "kettle"}, "e.jsonl:1: no field 'expansion'"),
        ({"expansion": "kettle"}, "e.jsonl:1: no field '_id'"),
        ({"_id": "a", "expansion": 3}, "e.jsonl:1: the field 'expansion' holds a number"),
        ({"_id": "a", "expansion": ["x", None]}, "'expansion' holds null, not a string"),
        ({"_id": "a b", "expansion": "x"}, "e.jsonl:1: the id 'a b' holds white space"),
        ({"root": "a", "text": ["x"], "made_by": "m"}, "'text' holds a list"),
    ],
)
def test_a_row_that_is_no_expansion_is_named(tmp_path, line, message):
    with pytest.raises(TextError, match=message):
        read_expansions(rows(tmp_path / "e.jsonl", line))


def test_a_file_of_no_queries_holds_no_expansions(tmp_path):
    assert read_expansions(rows(tmp_path / "e.jsonl")) == {}


def test_expansions_of_other_queries_are_refused(tmp_path):
    path = tmp_path / "e.jsonl"
    write_expansions(path, {"a": ["boiling"]}, queries={"a": "hot water"})
    assert read_expansions(path, queries={"a": "Hot  water"}) == {"a": ["boiling"]}
    with pytest.raises(TextError, match=r"e\.jsonl:1: written for 'hot water', while query 'a'"):
        read_expansions(path, queries={"a": "a torch"})


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no query 'z'"):
        write_expansions(tmp_path / "e.jsonl", {"z": []}, queries=QUERIES)
    with pytest.raises(OutputError, match=r"name it \.jsonl"):
        write_expansions(tmp_path / "e.csv", {}, queries=QUERIES)


def test_texts_in_any_script_are_usable():
    assert usable(["氷", "???", " x "], query="水") == ["氷", "x"]
    assert usable(["水", "c++"], query="水") == ["c++"]
