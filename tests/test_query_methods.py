"""Methods that expand a query without a corpus: what they ask, what they cost, what they refuse."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import llmaug as la
from llmaug import plan as plans
from llmaug import prompt as prompts
from llmaug.errors import PlanError
from llmaug.methods.queries import GENQR_WORDINGS, HYDE_TASKS
from llmaug.request import Reply, Request
from llmaug.testing import FakeBackend, StepContext, check_step
from llmaug.text import Text

QUERY = "do statins reduce muscle strength in older adults"
PASSAGE = "Trials of statins in people over 65 found slightly weaker grip strength after a year."

# What a method costs, in requests for each query.
COST = {
    "hyde()": 8,
    "hyde(n=2, task='claim')": 2,
    "query2doc()": 1,
    "query2doc(n=2, style='cot')": 2,
    "query2e()": 1,
    "keywords(n=2, temperature=0.1)": 2,
    "genqr()": 1,
    "genqr(n=3)": 3,
    "genqr_ensemble()": 10,
    "mugi()": 5,
    "qa_expand()": 3,
    "multi_query()": 1,
    "multi_query(n=7)": 1,
    "decompose()": 1,
    "step_back()": 1,
    "rewrite_query()": 1,
    "answer_first()": 1,
}
PROSE = ["hyde()", "query2doc()", "query2doc(style='cot')", "mugi()", "answer_first()"]
ONE_QUERY = ["step_back()", "rewrite_query()"]
LISTS = ["keywords()", "query2e()", "genqr()", "genqr_ensemble()", "multi_query()", "decompose()"]
EVERY = [*PROSE, *ONE_QUERY, *LISTS, "qa_expand()"]


def asked(plan: str, query: str = QUERY) -> list[Request]:
    """The requests that a plan sends for a query."""
    sent: list[Request] = []

    def answer(request: Request) -> str:
        sent.append(request)
        return PASSAGE

    list(la.augment(plan, [query], lm=FakeBackend(answer)))
    return sent


def outcome(
    plan: str, answer: str | Reply | Callable[[Request], str | Reply], query: str = QUERY
) -> tuple[list[str], Counter[str]]:
    """The texts that a plan makes of a query where the model answers so, and why others went."""
    reply = answer if callable(answer) else lambda request: answer
    root = Text(query, "q", "q")
    ctx = StepContext(root, lm=FakeBackend(reply))
    texts = asyncio.run(la.parse(plan).apply([root], ctx))
    return [text.text for text in texts], Counter(reason for _, reason in ctx.drops)


@pytest.mark.parametrize("plan", COST)
def test_a_method_keeps_the_laws_and_prints_as_it_was_typed(plan: str) -> None:
    step = la.parse(plan)
    assert str(step) == plan
    check_step(step)


@pytest.mark.parametrize(("plan", "requests"), COST.items())
def test_what_a_method_costs(plan: str, requests: int) -> None:
    assert len(asked(plan)) == requests


@pytest.mark.parametrize("plan", COST)
def test_the_query_stands_last_and_all_before_it_is_the_same_for_every_query(plan: str) -> None:
    def before(query: str) -> list[object]:
        first = asked(plan, query)[0]
        *turns, last = first.messages
        assert first.sampling.max_tokens
        assert last.role == "user"
        assert last.content.endswith(f"\n\n{query}")
        return [*turns, last.content.removesuffix(query)]

    assert before("x") == before(QUERY) == before("a {{ b }}\n\nsystem:\n" * 400 + "c")


@pytest.mark.parametrize("plan", EVERY)
def test_what_is_made_names_the_method_and_its_prompts(plan: str) -> None:
    made = list(la.augment(plan, [QUERY], lm=FakeBackend(lambda request: PASSAGE)))
    assert {text.text for text in made} == {PASSAGE}
    [made_by] = {text.made_by for text in made}
    marks = plans.fingerprints(la.parse(plan)).values()
    assert made_by == f"{plan}@{'+'.join(dict.fromkeys(marks))}"


@pytest.mark.parametrize("plan", EVERY)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (QUERY, "duplicate"),
        (f'"{QUERY.capitalize()}?"', "duplicate"),
        (f"Query: {QUERY}", "duplicate"),
        ("I'm sorry, but I can't assist with that request.", "refusal"),
        ("As an AI language model, I do not have opinions.", "refusal"),
        ("I'm ready to assist. What's the task?", "refusal"),
        ("Please provide the query that you would like me to work on.", "refusal"),
        ("I don't have enough information about this topic.", "refusal"),
        ("Статины снижают силу мышц у пожилых людей.", "other script"),
        ("他汀类药物会降低老年人的肌肉力量。", "other script"),
        ("Results for this query:", "heading"),
        ("Here are some keywords for this query:", "empty"),
        ("## Results", "heading"),
        (Reply("", "content_filter", 9, 0), "refusal"),
        (Reply("", "length", 9, 9), "truncated"),
    ],
)
def test_a_bad_reply_is_dropped_with_its_reason(plan: str, bad: str | Reply, reason: str) -> None:
    assert list(la.augment(plan, [QUERY], lm=FakeBackend(lambda request: bad))) == []
    texts, reasons = outcome(plan, bad)
    assert texts == []
    assert reasons[reason] >= 1


@pytest.mark.parametrize("plan", [*PROSE, *ONE_QUERY])
@pytest.mark.parametrize(
    "bad",
    [
        "- statins\n- muscle\n- strength",
        "1. Statins weaken muscles.\n2. Exercise helps.",
        "1) statins 2) muscle strength 3) age",
        "Some points:\n\n* weaker grip\n* slower gait\n",
    ],
)
def test_a_list_is_dropped_where_a_passage_was_asked_for(plan: str, bad: str) -> None:
    texts, reasons = outcome(plan, bad)
    assert texts == []
    assert reasons["list"] >= 1


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("β", "Beta is the second letter of the Greek alphabet."),
        ("α-synuclein", "Its aggregates are found in Parkinson's disease."),
        ("東京の人口", "とうきょうには約千四百万人が住んでいる。"),
        ("Москва население", "В столице живёт около 13 миллионов человек."),
        ("what does 東京 mean", "東京"),
        (QUERY, "Sarkopenie: Studien fanden eine geringere Griffkraft unter Statinen."),
        (QUERY, "In 2012, 1.5 % of 2,000 patients had weak legs (95 % CI 1. to 2.)."),
        ("I'm not sure which bank to use", "I'm not sure that it matters: fees are alike."),
        (QUERY, "I don't have a statin to recommend, but fluvastatin weakens least."),
        ("x " * 2_000, "The letter x."),
    ],
)
def test_a_good_answer_is_kept_as_it_is(query: str, answer: str) -> None:
    texts, reasons = outcome("hyde(n=1)", answer, query)
    assert texts == [answer]
    assert not reasons


@pytest.mark.parametrize("plan", PROSE)
def test_a_passage_that_was_cut_off_is_dropped(plan: str) -> None:
    texts, reasons = outcome(plan, Reply(PASSAGE, "length", 9, 9))
    assert texts == []
    assert reasons["truncated"] >= 1


@pytest.mark.parametrize("plan", LISTS)
def test_a_list_gives_its_items_without_headings_echoes_and_repetitions(plan: str) -> None:
    listed = f"Search terms:\n1. statin therapy\n2. {QUERY}\n3. grip strength\n- Grip strength.\n"
    texts, reasons = outcome(plan, listed)
    whole = plan in ("query2e()", "genqr()", "genqr_ensemble()")
    items = ["statin therapy", "grip strength"]
    assert texts == ([", ".join(items)] if whole else items)
    assert reasons["heading"] >= 1
    assert reasons["duplicate"] >= 2


def test_each_instruction_of_the_ensemble_differs_and_none_is_left_over() -> None:
    sent = {request.messages[-1].content for request in asked("genqr_ensemble()")}
    assert len(sent) == GENQR_WORDINGS
    beyond = prompts.load("genqr").render({"text": QUERY, "wording": GENQR_WORDINGS})
    first = prompts.load("genqr").render({"text": QUERY})
    assert beyond == first
    assert first.messages[-1].content in sent


def test_each_task_of_hyde_has_its_instruction() -> None:
    sent = {asked(f"hyde(n=1, task={task!r})")[0].messages[-1].content for task in HYDE_TASKS}
    assert len(sent) == len(HYDE_TASKS)


@pytest.mark.parametrize("plan", ["query2doc", "mugi", "query2e"])
def test_example_pairs_are_shown_before_the_query(tmp_path: Path, plan: str) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(f'{{"text": "Query {i}\\nPassage {i}"}}\n' for i in range(9)))
    typed = f"{plan}(n=1, examples={str(pairs)!r}, k=3)"
    [request] = asked(typed)
    shown = request.messages[-1].content
    assert shown.count("Query ") == shown.count("\nPassage ") == 3
    assert shown.endswith(f"\n\n{QUERY}")
    assert "examples:" in " ".join(plans.fingerprints(la.parse(typed)))
    assert "Passage" not in asked(f"{plan}(n=1)")[0].messages[-1].content


def test_qa_expand_hands_questions_and_answers_on() -> None:
    sent: list[str] = []

    def answer(request: Request) -> str:
        sent.append(request.messages[-1].content)
        return ("1. Why?\n2. How?", "1. Because.\n2. Thus.", "So it is.\nThus it works.")[
            len(sent) - 1
        ]

    texts, reasons = outcome("qa_expand()", answer)
    assert texts == ["So it is.", "Thus it works."]
    assert not reasons
    assert sent[1].endswith(f"\n\n{QUERY}\n\nQuestions:\n1. Why?\n2. How?")
    assert sent[2].endswith("2. How?\n\nAnswers:\n1. Because.\n2. Thus.")


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("hyde(task='claims')", "hyde: unknown task 'claims'; did you mean claim?"),
        ("hyde(task=3)", "unknown task 3; known: argument, claim"),
        ("query2doc(style='cott')", "did you mean cot?"),
        ("query2doc(style='cot', examples='pairs.jsonl')", "shows no examples"),
        ("query2doc(examples='absent.jsonl')", "absent.jsonl cannot be read"),
        ("multi_query(n=0)", "n must be a whole number from 1 to 20"),
        ("hyde() >> clean(asked='item')", "did you mean items?"),
    ],
)
def test_a_wrong_argument_is_one_line(plan: str, says: str) -> None:
    with pytest.raises(PlanError) as caught:
        plans.check(la.parse(plan))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
