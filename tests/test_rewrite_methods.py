"""Methods that rewrite texts or make texts of a class: what they ask, make, drop and refuse."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import llmaug as la
from llmaug import notation
from llmaug import plan as plans
from llmaug.errors import PlanError
from llmaug.methods.labels import counterfactual, label_conditioned
from llmaug.methods.rewrite import (
    PIVOTS,
    back_translate,
    elaborate,
    formalise,
    paraphrase,
    simplify,
    style_match,
    summarise,
)
from llmaug.request import Reply, Request
from llmaug.steps.labelled import Labelled, OtherThan
from llmaug.steps.of_class import OfClass
from llmaug.testing import FakeBackend, StepContext, check_step
from llmaug.text import Text

METHODS = {
    one.__name__: one
    for one in (
        *(paraphrase, simplify, formalise, summarise, elaborate, back_translate, style_match),
        *(counterfactual, label_conditioned),
    )
}
STEPS = {"labelled": Labelled, "other_than": OtherThan, "of_class": OfClass}
TEXT = "the film was a mess from start to finish"
ROOT = Text(TEXT, "r", "r", "", {"label": "bad"})
ROWS = [
    {"text": f"a {word} film number {i}", "label": word}
    for i, word in enumerate(("bad", "good", "fair") * 4)
]

PLANS = {
    "paraphrase(n=2)": 2,
    "simplify(n=3)": 3,
    "formalise(temperature=0.1)": 1,
    "summarise(n=2, sentences=1)": 2,
    "summarise()": 1,
    "elaborate(n=2)": 2,
    "back_translate()": 2,
    "back_translate(n=3)": 6,
    "back_translate(via='German', n=2)": 4,
    "back_translate(via=('German', 'Greek'), to='Dutch', n=3)": 6,
    "counterfactual(to='good')": 1,
    "counterfactual(to='good', n=2, names={'good': 'full of praise'})": 2,
    "label_conditioned()": 1,
    "label_conditioned(n=4, names={'bad': 'scathing'})": 4,
}


def parsed(plan: str) -> la.Step:
    return notation.parse(plan, METHODS)


def asked(plan: str, root: Text = ROOT) -> list[Request]:
    """The requests that a plan sends for a text."""
    sent: list[Request] = []

    def answer(request: Request) -> str:
        sent.append(request)
        return f"reply number {len(sent)}"

    list(la.augment(parsed(plan), [root], lm=FakeBackend(answer)))
    return sent


def outcome(
    plan: str, answer: str | Reply | Callable[[Request], str | Reply], root: Text = ROOT
) -> tuple[list[Text], Counter[str]]:
    """What a plan makes of a text where the model answers so, and why other variants went."""
    reply = answer if callable(answer) else lambda request: answer
    ctx = StepContext(root, lm=FakeBackend(reply))
    texts = asyncio.run(parsed(plan).apply([root], ctx))
    return texts, Counter(reason for _, reason in ctx.drops)


def classes(tmp_path: Path) -> str:
    path = tmp_path / "classes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


@pytest.mark.parametrize("plan", PLANS)
def test_a_method_keeps_the_laws_and_reads_back(plan: str) -> None:
    sentences = (
        "The battery lasts two days.",
        "How do I return a parcel?",
        "a mess , but charming",
    )
    roots = [Text(text, f"t{i}", f"t{i}", "", {"label": "bad"}) for i, text in enumerate(sentences)]
    check_step(parsed(plan), texts=roots, names=METHODS)
    assert parsed(str(parsed(plan))) == parsed(plan)


@pytest.mark.parametrize(("plan", "requests"), PLANS.items())
def test_a_method_costs_what_it_says_and_cites_its_source(plan: str, requests: int) -> None:
    sent = asked(plan)
    assert len(sent) == requests
    assert sent[0].messages[-1].content.endswith(f"\n\n{TEXT}")
    source = METHODS[plan.partition("(")[0]].__doc__
    assert source is not None
    assert "20" in source


@pytest.mark.parametrize("plan", PLANS)
def test_refusals_and_cut_replies_are_dropped(plan: str) -> None:
    assert outcome(plan, "I'm sorry, but I can't assist with that request.")[0] == []
    texts, reasons = outcome(plan, Reply("half a sen", "length", 9, 9))
    assert texts == []
    assert reasons["truncated"] >= 1


def test_back_translation_goes_through_a_language_for_each_variant() -> None:
    def language(request: Request) -> str:
        return request.messages[0].content.split(" into ")[1].split(".")[0]

    sent = [language(request) for request in asked(f"back_translate(n={len(PIVOTS) + 2})")]
    there = Counter(sent)
    assert there.pop("English") == len(PIVOTS) + 2
    assert there == {pivot: 2 if pivot in PIVOTS[:2] else 1 for pivot in PIVOTS}


def test_back_translations_differ_from_each_other_and_from_the_text() -> None:
    texts, reasons = outcome("back_translate(n=4)", "the same words every time")
    assert [text.text for text in texts] == ["the same words every time"]
    assert reasons == {"duplicate": 3}
    assert outcome("back_translate(n=2)", TEXT.upper()) == ([], {"duplicate": 2})


@pytest.mark.parametrize(
    ("sentences", "says"), [(1, "in one sentence."), (2, "at most 2 sentences."), (5, "at most 5")]
)
def test_a_summary_is_asked_in_so_many_sentences(sentences: int, says: str) -> None:
    assert says in asked(f"summarise(sentences={sentences})")[0].messages[0].content


def test_a_counterfactual_has_the_new_label_and_the_other_fields() -> None:
    root = Text(TEXT, "r", "r", "", {"mood": 0, "source": "web"})
    plan = "counterfactual(to=1, label='mood', names={0: 'negative', 1: 'positive'})"
    [variant] = outcome(plan, "the film was a joy from start to finish", root)[0]
    assert dict(variant.meta) == {"mood": 1, "source": "web"}
    assert "The new label is: positive." in asked(plan, root)[0].messages[0].content
    kept, flipped = la.augment(la.keep() + parsed(plan), [root], lm=FakeBackend())
    assert (kept.meta["mood"], flipped.meta["mood"]) == (0, 1)


def test_a_counterfactual_is_not_made_of_a_text_that_has_the_label_or_an_unchanged_one() -> None:
    assert asked("counterfactual(to='bad')") == []
    assert outcome("counterfactual(to='bad')", "x") == ([], {"already 'bad'": 1})
    assert outcome("counterfactual(to='good')", f"{TEXT}.") == ([], {"duplicate": 1})


def test_labels_of_another_kind_fail_the_row() -> None:
    with pytest.raises(PlanError, match="write labels as the input does"):
        outcome("counterfactual(to=1)", "x")


def test_new_texts_of_a_class_see_only_texts_of_that_class(tmp_path: Path) -> None:
    file = classes(tmp_path)
    [request] = asked(f"label_conditioned(1, examples={file!r}, k=3)")
    content = request.messages[1].content
    assert content.startswith("Label: bad\n")
    assert content.count("\n- a bad film") == content.count("\n- ") == 3
    texts, reasons = outcome(
        f"label_conditioned(2, examples={file!r}, k=3)",
        lambda r: (
            "a fresh text" if r.sample else r.messages[1].content.split("\n- ")[1].split("\n")[0]
        ),
    )
    assert [(text.text, dict(text.meta)) for text in texts] == [("a fresh text", {"label": "bad"})]
    assert reasons == {"copies an exemplar": 1}


def test_steps_of_these_methods_keep_the_laws(tmp_path: Path) -> None:
    roots = [Text(f"text {i}", f"t{i}", f"t{i}", "", {"label": "bad"}) for i in range(3)]
    for step in (
        Labelled("label", "good"),
        OtherThan("label", "bad"),
        OtherThan("label", "good"),
        OfClass("label_conditioned", n=2, examples=classes(tmp_path), k=2, pick="nearest"),
        OfClass("label_conditioned", names={"bad": "scathing"}),
    ):
        check_step(step, texts=roots, names=STEPS)
        assert notation.parse(str(step), STEPS) == step


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("summarise(sentences=0)", "sentences must be from 1 to 20"),
        ("summarise(sentences='two')", "must be a whole number"),
        ("back_translate(via=())", "must be a language or a list of languages"),
        ("back_translate(via=3)", "must be a language or a list of languages"),
        ("back_translate(n=0)", "n must be a whole number"),
        ("counterfactual(to='')", "to='': must be a label"),
        ("counterfactual(to=True)", "must be a label"),
        ("counterfactual(to='good', label='')", "must be the name of the field"),
        ("counterfactual(to='goood', names={'good': 'x', 'bad': 'y'})", "did you mean 'good'?"),
        ("counterfactual(to=1, names=('bad', 'good'))", "must be like {0: 'negative'"),
        ("label_conditioned(0)", "n must be a whole number"),
        ("label_conditioned(k=0)", "k must be a whole number"),
        ("label_conditioned(examples='absent.jsonl')", "absent.jsonl cannot be read"),
        ("label_conditioned(examples=FILE, k=5)", "give k=4 or less"),
        ("label_conditioned(examples=FILE, label='lable')", "did you mean label?"),
        ("label_conditioned(examples=FILE, names={'bad': 'x'})", "no word for the label 'fair'"),
    ],
)
def test_a_wrong_argument_is_one_line(tmp_path: Path, plan: str, says: str) -> None:
    with pytest.raises(PlanError) as caught:
        plans.check(parsed(plan.replace("FILE", repr(classes(tmp_path)))))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "says"),
    [({"label": "baad"}, "did you mean 'bad'?"), ({"label": None}, "no label"), ({}, "no label")],
)
def test_a_row_without_a_known_label_fails(
    tmp_path: Path, meta: dict[str, str | None], says: str
) -> None:
    root = Text(TEXT, "r", "r", "", meta)
    with pytest.raises(PlanError) as caught:
        outcome(f"label_conditioned(examples={classes(tmp_path)!r})", "x", root)
    assert says in str(caught.value)
    assert "'r'" in str(caught.value)
