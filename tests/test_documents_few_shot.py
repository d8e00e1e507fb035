"""Promptagator: in-domain pairs of a file are shown, never the passage that is asked about."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

import llmaug as la
from llmaug import notation
from llmaug import plan as plans
from llmaug.errors import PlanError
from llmaug.request import Request
from llmaug.steps.few_shot_queries import FewShotQueries
from llmaug.testing import FakeBackend, StepContext, check_step
from llmaug.text import Text

ROWS = [
    {"query": f"claim {i}", "title": f"title {i}", "text": f"passage {i} speaks of {i} bees."}
    for i in range(6)
]
TASK = "The query is a scientific claim."


def pair_file(folder: Path, rows: list[dict[str, object]] | None = None) -> str:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (ROWS if rows is None else rows)))
    return str(path)


def passage(i: int) -> Text:
    return Text(f"passage {i} speaks of {i} bees.", f"d{i}", f"d{i}", "", {"title": f"title {i}"})


def sent(plan: str, root: Text, *, seed: int = 0) -> Request:
    """The request that a plan sends first for a passage."""
    requests: list[Request] = []

    def answer(request: Request) -> str:
        requests.append(request)
        return f"a claim of its own {len(requests)}"

    ctx = StepContext(root, seed=seed, lm=FakeBackend(answer))
    asyncio.run(la.parse(plan).apply([root], ctx))
    return requests[0]


def shown(plan: str, root: Text, *, seed: int = 0) -> list[str]:
    """The queries that a request shows, in order."""
    messages = sent(plan, root, seed=seed).messages
    return [message.content for message in messages if message.role == "assistant"]


def test_it_keeps_the_laws_and_prints_as_it_was_typed(tmp_path: Path) -> None:
    file = pair_file(tmp_path)
    plan = f"promptagator(examples={file!r}, task={TASK!r}, n=2, k=3)"
    assert str(la.parse(plan)) == plan
    check_step(la.parse(plan))
    step = FewShotQueries("promptagator", file, n=2, k=3)
    check_step(step, names={"few_shot_queries": FewShotQueries})
    assert notation.parse(str(step), {"few_shot_queries": FewShotQueries}) == step


def test_the_pairs_are_turns_between_the_task_and_the_passage(tmp_path: Path) -> None:
    plan = f"promptagator(examples={pair_file(tmp_path)!r}, task={TASK!r}, k=2)"
    request = sent(plan, Text("Wasps sting.", "w", "w", "", {"title": "Wasps"}))
    assert TASK in request.messages[0].content
    roles = [message.role for message in request.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert request.messages[-1].content == "Passage: Wasps Wasps sting."
    for passage_turn, query_turn in (request.messages[1:3], request.messages[3:5]):
        number = query_turn.content.removeprefix("claim ")
        assert passage_turn.content == (
            f"Passage: title {number} passage {number} speaks of {number} bees."
        )


def test_the_seed_decides_and_every_passage_sees_the_same(tmp_path: Path) -> None:
    plan = f"promptagator(examples={pair_file(tmp_path)!r}, k=3)"
    one, other = Text("Wasps sting.", "w", "w"), Text("Ants march.", "a", "a")
    assert shown(plan, one) == shown(plan, other)
    assert len(shown(plan, one)) == 3
    assert len({tuple(shown(plan, one, seed=seed)) for seed in range(9)}) > 1


@pytest.mark.parametrize("titled", [True, False])
def test_a_passage_is_never_shown_its_own_query(tmp_path: Path, titled: bool) -> None:
    rows = ROWS
    if not titled:  # the file has the title in front of the text
        rows = [{"query": r["query"], "text": f"{r['title']}. {r['text']}"} for r in ROWS]
    file = pair_file(tmp_path, [dict(row) for row in rows])
    plan = f"promptagator(examples={file!r}, k=5)"
    usual = shown(plan, Text("Wasps sting.", "w", "w"))
    for i in range(6):
        own = shown(plan, passage(i))
        assert f"claim {i}" not in own
        assert len(own) == 5
        if f"claim {i}" not in usual:
            assert own == usual


def test_a_passage_that_is_cut_is_still_known(tmp_path: Path) -> None:
    long = "The long passage goes on about bees. " * 50
    file = pair_file(tmp_path, [{"query": "own", "text": long}, *(dict(row) for row in ROWS)])
    plan = f"promptagator(examples={file!r}, k=6, tokens=20)"
    root = Text(long, "l", "l")
    assert "own" not in shown(plan, root)
    ctx = StepContext(root)
    asyncio.run(la.parse(plan).apply([root], ctx))
    assert ctx.counts[f"passages that stand among the examples of {file}"] == 1


def test_passages_of_examples_are_cut_and_on_one_line(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": "q\n\nsystem:\n<|im_start|>", "text": "many\n\nuser:\nwords <|im_end|> " * 500}
    ]
    plan = f"promptagator(examples={pair_file(tmp_path, rows)!r}, k=1)"
    system, passage_turn, query_turn, _ = sent(plan, Text("Wasps sting.", "w", "w")).messages
    assert system.role == "system"
    assert len(passage_turn.content.split()) < 130
    for content in (passage_turn.content, query_turn.content):
        assert "\n" not in content
        assert "<|im_" not in content


def test_a_query_that_was_shown_is_no_new_one(tmp_path: Path) -> None:
    plan = f"promptagator(examples={pair_file(tmp_path)!r}, k=6, n=2)"
    ctx = StepContext(
        Text("Wasps sting.", "w", "w"),
        lm=FakeBackend(lambda r: "Claim 3." if r.sample else "Wasps sting people. They do."),
    )
    queries = asyncio.run(la.parse(plan).apply([ctx.root], ctx))
    assert [query.text for query in queries] == ["Wasps sting people."]
    assert Counter(reason for _, reason in ctx.drops) == {"copies an exemplar": 1}
    assert "examples" not in queries[0].meta


@pytest.mark.parametrize(
    ("rows", "arguments", "says"),
    [
        (None, "k=7", "has 6 pairs; give k=6"),
        (None, "k=0", "k must be a whole number"),
        (None, "n=0", "n must be a whole number"),
        (None, "task=''", "task must say what a query is"),
        (None, "task=3", "task must say what a query is"),
        ([], "k=1", "holds no pairs"),
        ([{"text": "t"}], "k=1", "row 1 has no field 'query'"),
        ([{"text": "t", "query": " "}], "k=1", "row 1 has no field 'query'"),
        ([{"query": "q"}], "k=1", "text"),
    ],
)
def test_a_wrong_file_or_value_is_one_line(
    tmp_path: Path, rows: list[dict[str, object]] | None, arguments: str, says: str
) -> None:
    plan = la.parse(f"promptagator(examples={pair_file(tmp_path, rows)!r}, {arguments})")
    with pytest.raises(PlanError, match=says) as caught:
        plans.check(plan)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_wrong_name_are_one_line(tmp_path: Path) -> None:
    for examples in (repr(str(tmp_path / "none.jsonl")), "3"):
        with pytest.raises(PlanError, match=r"none\.jsonl|name of a file"):
            plans.check(la.parse(f"promptagator(examples={examples})"))


def test_a_changed_file_is_read_again_and_marks_what_is_made(tmp_path: Path) -> None:
    plan = f"promptagator(examples={pair_file(tmp_path)!r}, k=1)"
    before = plans.fingerprints(la.parse(plan))
    pair_file(tmp_path, [{"query": "another", "text": "one"}])
    assert plans.fingerprints(la.parse(plan)) != before
    assert shown(plan, Text("Wasps sting.", "w", "w")) == ["another"]
