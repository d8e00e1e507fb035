"""Methods that write queries for a passage: what they ask, what of a reply they take, what goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

import llmaug as la
from llmaug import plan as plans
from llmaug import prompt as prompts
from llmaug.errors import PlanError
from llmaug.methods.documents import KINDS
from llmaug.request import Reply, Request
from llmaug.testing import FakeBackend, StepContext, check_step
from llmaug.text import Text

TITLE = "Knee load when walking down stairs"
BODY = "Walking down stairs loads the knee with three times the weight of the body. " * 40
ROOT = Text(BODY, "d7", "d7", "", {"title": TITLE})
QUERY = "How much load does the knee bear on stairs?"
BY_KIND = [f"doc2query(kind='{kind}')" for kind in KINDS if kind != "question"]
SENTENCES = ["doc2query()", "doc2query(kind='claim')", "inpars()"]
LINES = ["doc2query(kind='title')", "doc2query(kind='keywords')"]
PASSAGES = ["passage_rewrite()", "negative_passage()"]
EVERY = ["doc2query()", *BY_KIND, "inpars()", *PASSAGES]

Answer = str | Reply | Callable[[Request], str | Reply]


def outcome(plan: str, answer: Answer, root: Text = ROOT) -> tuple[list[Text], Counter[str]]:
    """What a plan makes of a passage where the model answers so, and why other variants went."""
    reply = answer if callable(answer) else lambda request: answer
    ctx = StepContext(root, lm=FakeBackend(reply))
    texts = asyncio.run(la.parse(plan).apply([root], ctx))
    return texts, Counter(reason for _, reason in ctx.drops)


def asked(plan: str, root: Text = ROOT) -> list[Request]:
    """The requests that a plan sends for a passage."""
    sent: list[Request] = []

    def answer(request: Request) -> str:
        sent.append(request)
        return f"Reply number {len(sent)}."

    outcome(plan, answer, root)
    return sent


@pytest.mark.parametrize("plan", [*EVERY, "doc2query(n=3, kind='claim', tokens=9)", "inpars(n=2)"])
def test_a_method_keeps_the_laws_and_prints_as_it_was_typed(plan: str) -> None:
    step = la.parse(plan)
    assert str(step) == plan
    check_step(step)


@pytest.mark.parametrize("plan", EVERY)
def test_the_prompt_shows_the_passage_last_and_cut(plan: str) -> None:
    (request,) = asked(plan)
    last = request.messages[-1].content
    assert last.endswith("of the body. Walking")
    assert len(last.split()) < 300
    # The worked examples are turns, which small models follow better than instructions.
    roles = [message.role for message in request.messages]
    assert roles[:3] == ["system", "user", "assistant"]
    assert roles[-1] == "user"


@pytest.mark.parametrize("plan", ["doc2query(tokens=5)", "inpars(tokens=5)"])
def test_the_title_is_never_cut(plan: str) -> None:
    assert asked(plan)[0].messages[-1].content == f"Passage: {TITLE} Walking down stairs loads the"
    untitled = Text(BODY, "d7", "d7")
    assert asked(plan, untitled)[0].messages[-1].content == "Passage: Walking down stairs loads the"


def test_a_title_is_written_without_seeing_the_one_there_is() -> None:
    assert TITLE not in asked("doc2query(kind='title')")[0].messages[-1].content


@pytest.mark.parametrize("plan", EVERY)
def test_what_was_cut_is_on_record(plan: str) -> None:
    ((query,), _) = outcome(plan, QUERY)
    assert query.meta["tokens_kept"] <= 256 < query.meta["tokens_whole"]
    assert query.meta["title"] == TITLE
    ((query,), _) = outcome(plan, QUERY, Text("Stairs load the knee.", "d", "d"))
    assert (query.meta["tokens_kept"], query.meta["tokens_whole"]) == (5, 5)


def test_each_kind_has_a_prompt_of_its_own() -> None:
    systems = {asked(plan)[0].messages[0].content for plan in ["doc2query()", *BY_KIND]}
    assert len(systems) == len(KINDS) == 6
    marks = {prompts.load(name).fingerprint for name, _ in KINDS.values()}
    assert len(marks) == 6


def test_kinds_are_mixed_with_a_plus() -> None:
    plan = la.parse("doc2query(n=2) + doc2query(kind='claim') + doc2query(kind='keywords')")
    assert str(plan) == "doc2query(n=2) + doc2query(kind='claim') + doc2query(kind='keywords')"
    variants = list(la.augment(plan, [ROOT], lm=FakeBackend(lambda r: f"{r.seed} is it")))
    assert Counter(v.made_by.partition("@")[0] for v in variants) == {
        "doc2query(n=2)": 2,
        "doc2query(kind='claim')": 1,
        "doc2query(kind='keywords')": 1,
    }
    assert len({v.id for v in variants}) == 4
    assert {v.root for v in variants} == {"d7"}


@pytest.mark.parametrize("plan", EVERY)
def test_a_method_names_its_source_and_its_prompt(plan: str) -> None:
    step = la.parse(plan)
    (mark,) = plans.fingerprints(step).values()
    ((query,), _) = outcome(plan, QUERY)
    assert query.made_by == f"{plan}@{mark}"
    source = getattr(la, plan.partition("(")[0]).__doc__
    assert "arXiv" in source


@pytest.mark.parametrize("plan", SENTENCES)
@pytest.mark.parametrize(
    "reply",
    [
        QUERY,
        f"{QUERY} This question is about the knee.",
        f"{QUERY}\nBad question: What is a knee?",
        f"Here is a question that the passage answers:\n\n{QUERY}\n\nLet me know if you need more.",
        f"1. {QUERY}\n2. What is a knee?",
        f'Question: "{QUERY}"',
    ],
)
def test_the_first_sentence_of_a_reply_is_the_query(plan: str, reply: str) -> None:
    assert [query.text for query in outcome(plan, reply)[0]] == [QUERY]


@pytest.mark.parametrize("plan", LINES)
def test_the_first_line_is_the_title_or_the_words(plan: str) -> None:
    reply = "E. coli vs. S. aureus: a trial. Part 2\n\nPassage: another one."
    assert outcome(plan, reply)[0][0].text == "E. coli vs. S. aureus: a trial. Part 2"


@pytest.mark.parametrize("plan", [*SENTENCES, *LINES])
def test_a_reply_cut_off_behind_the_query_is_usable(plan: str) -> None:
    (queries, drops) = outcome(plan, Reply(f"{QUERY}\nThe passage says th", "length", 9, 9))
    assert [query.text for query in queries] == [QUERY]
    assert "finish" not in queries[0].meta
    assert not drops


@pytest.mark.parametrize("plan", EVERY)
def test_a_reply_cut_off_within_the_query_is_dropped(plan: str) -> None:
    texts, drops = outcome(plan, Reply("How much load does E. ", "length", 9, 9))
    assert texts == []
    assert drops == {"truncated": 1}


@pytest.mark.parametrize("plan", EVERY)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I'm sorry, but I can't assist with that request.", "refusal"),
        ("Сколько весит колено?", "other script"),
    ],
)
def test_what_is_no_query_is_dropped(plan: str, reply: str, reason: str) -> None:
    texts, drops = outcome(plan, reply)
    assert texts == []
    assert drops == {reason: 1}


@pytest.mark.parametrize("plan", PASSAGES)
def test_a_copy_of_the_passage_is_dropped(plan: str) -> None:
    assert outcome(plan, BODY) == ([], {"duplicate": 1})


@pytest.mark.parametrize("plan", EVERY)
def test_a_worked_example_is_no_answer(plan: str) -> None:
    turns = [message.content for message in asked(plan)[0].messages if message.role == "assistant"]
    assert len(turns) >= 2
    for turn in turns:
        assert outcome(plan, turn.splitlines()[0].upper()) == ([], {"copies an exemplar": 1})


def test_equal_queries_count_once() -> None:
    texts, drops = outcome("doc2query(n=4)", QUERY)
    assert len(texts) == 1
    assert drops == {"duplicate": 3}


def test_good_questions_come_before_bad_ones_and_the_reply_stops_there() -> None:
    (request,) = asked("inpars()")
    turns = [m.content for m in request.messages if m.role == "assistant"]
    assert len(turns) == 3
    assert all("?\nBad question: " in turn for turn in turns)
    assert request.sampling.stop == ("\nBad question:",)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("doc2query(kind='claims')", "unknown kind 'claims'; did you mean claim"),
        ("doc2query(kind=('claim',))", "unknown kind"),
        ("doc2query(kind='')", "unknown kind"),
        ("doc2query(tokens=0)", "tokens must be a whole number from 1"),
        ("inpars(tokens=True)", "tokens must be a whole number from 1"),
        ("passage_rewrite(n=0)", "n must be a whole number from 1"),
    ],
)
def test_a_wrong_argument_is_one_line(plan: str, says: str) -> None:
    with pytest.raises(PlanError, match=says) as caught:
        plans.check(la.parse(plan))
    assert "\n" not in str(caught.value)


def test_negatives_say_what_speaks_against_them() -> None:
    assert "2504.21015" in (la.negative_passage.__doc__ or "")
    assert "2606.01304" in (la.negative_passage.__doc__ or "")
