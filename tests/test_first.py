"""The first rewrites of a plan: how many there are, which they are, and what has none."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_classifier import chances, examples, noise, rewriting, stored_file, toy

import llmaug as la
from llmaug.classify.first import first, rewrites, sources
from llmaug.classify.rewriter import Rewriter
from llmaug.errors import PlanError
from llmaug.job import Job
from llmaug.text import Text
from llmaug.vocabulary import parse

TEXTS = examples(3)[0]
PLANS = {
    "paraphrase(n=4)": 4,
    "keep() + paraphrase(n=4)": 4,
    "paraphrase()": 1,
    "stored('FILE', n=3)": 3,
    "edit('typo', n=3)": 3,
    "generate('paraphrase', n=2)": 2,
    "generate('paraphrase', n=2, temperature=0.0) >> clean()": 2,
    "icr(examples='EXAMPLES', k=2, n=3)": 3,
    "simplify(n=2) + paraphrase(n=3) + edit('swap')": 6,
    "keep() + (paraphrase(n=2) >> dedupe()) + (edit('typo', n=2) >> length(max_ratio=9.0))": 4,
    "(simplify(n=2) + paraphrase(n=2)) >> dedupe()": 4,
    "clean() >> paraphrase(n=2) >> edit('case') >> dedupe()": 2,
    "edit('swap', n=3) >> paraphrase(n=2)": 3,
    "summarise(n=2, sentences=1) + counterfactual(to='good', n=2)": 4,
}


@pytest.fixture
def plan_of(tmp_path):
    rows = [json.dumps({"text": f"a {word} film"}) for word in ("good", "bad", "long")]
    (tmp_path / "examples.jsonl").write_text("\n".join(rows))
    stored_file(tmp_path / "stored.jsonl", {str(i): ["one", "two", "three"] for i in range(3)})

    def made(text):
        named = text.replace("FILE", str(tmp_path / "stored.jsonl"))
        return parse(named.replace("EXAMPLES", str(tmp_path / "examples.jsonl")))

    return made


def made_by(plan):
    """The variants of each text, told apart by number: the same words may be written twice."""
    found = [(text.root, text.text) for text in la.augment(plan, TEXTS, lm=rewriting(noise))]
    return {(*one, found[:at].count(one)) for at, one in enumerate(found)}


@pytest.mark.parametrize(("text", "size"), PLANS.items(), ids=PLANS)
def test_the_first_are_among_those_of_one_more(plan_of, text, size):
    plan = plan_of(text)
    assert rewrites(plan) == size
    firsts = [made_by(first(plan, count)) for count in range(1, size + 1)]
    for fewer, more in itertools.pairwise(firsts):
        assert fewer < more
    assert firsts[-1] == made_by(plan)
    assert made_by(first(plan, size + 5)) == firsts[-1]


def test_first_cuts_as_many_as_asked(plan_of):
    for text, size in PLANS.items():
        plan = plan_of(text)
        assert [rewrites(first(plan, k)) for k in range(1, size + 1)] == list(range(1, size + 1))


def test_each_source_has_its_turn():
    plan = parse("keep() + simplify(n=2) + (paraphrase(n=3) >> dedupe()) + edit('typo')")
    assert [str(first(plan, count)) for count in range(1, 7)] == [
        "keep() + simplify()",
        "keep() + simplify() + (paraphrase() >> dedupe())",
        "keep() + simplify() + (paraphrase() >> dedupe()) + edit('typo')",
        "keep() + simplify(n=2) + (paraphrase() >> dedupe()) + edit('typo')",
        "keep() + simplify(n=2) + (paraphrase(n=2) >> dedupe()) + edit('typo')",
        "keep() + simplify(n=2) + (paraphrase(n=3) >> dedupe()) + edit('typo')",
    ]
    assert [str(one) for one in sources(plan)] == [
        "simplify(n=2)",
        "paraphrase(n=3)",
        "edit('typo')",
    ]


SIZED = st.sampled_from(["paraphrase", "simplify", "elaborate"]).flatmap(
    lambda name: st.integers(1, 4).map(lambda n: (f"{name}(n={n})", n))
)


@given(st.lists(SIZED, min_size=1, max_size=4), st.data())
@settings(max_examples=50)
def test_turns_are_even(parts, data):
    plan = parse(" + ".join(text for text, _ in parts))
    size = rewrites(plan)
    count = data.draw(st.integers(1, size))
    cut = first(plan, count)
    assert rewrites(cut) == count
    assert size == sum(n for _, n in parts)
    if count >= len(parts):
        taken = [rewrites(one) for one in sources(cut)]
        short = [got for got, (_, n) in zip(taken, parts, strict=True) if got < n]
        assert all(abs(got - max(taken)) <= 1 for got in short)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stored('FILE')", "how many rewrites? give n=4"),
        ("keep() + stored('FILE')", "how many rewrites? give n=4"),
        ("keep()", "keep() asks for 0 rewrites of a text; ask for 1 to 1,000"),
        ("keep() >> dedupe()", "asks for 0 rewrites"),
        ("normalise()", "asks for 0 rewrites"),
        ("edit('typo', n=2000)", "asks for 2,000 rewrites of a text"),
    ],
)
def test_what_has_no_first_rewrites(plan_of, text, said):
    with pytest.raises(PlanError, match="rewrites") as caught:
        rewrites(plan_of(text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paraphrase(n=2) + simplify(n=2)", [0, 0, 1, 1]),
        ("keep() + edit('typo', n=2) + edit('typo', rate=0.5)", [0, 0, 1]),
        ("paraphrase(n=2) + paraphrase(n=2, temperature=1.0)", [0, 0, 1, 1]),
        ("normalise() >> (paraphrase(n=2) + simplify())", [0, 0, 1]),
        ("(edit('swap') >> paraphrase()) + paraphrase()", [0, 1]),
        ("(paraphrase() >> edit('swap')) + edit('swap', n=2)", [0, 1, 1]),
    ],
)
def test_each_rewrite_knows_its_source(text, expected):
    rewriter = Rewriter(parse(text), {"lm": rewriting(noise)})
    (found,) = rewriter.first([Text("a &amp; GOOD  film b4d", "x", "x")], rewriter.size).values()
    assert [source for _, source in found.variants] == expected


def test_drops_of_augment_come_with_reasons():
    dropped = []
    plan = "keep() + paraphrase(n=2) >> dedupe()"
    lm = rewriting(lambda text, seed: text)
    assert [text.text for text in la.augment(plan, TEXTS, lm=lm, dropped=dropped)] == TEXTS
    assert [(drop.text.root, drop.reason) for drop in dropped] == [
        (str(row), "duplicate") for row in range(3) for _ in range(2)
    ]


def test_a_plan_may_ask_a_classifier():
    dropped = []
    plan = "keep() + paraphrase() >> keeps_label()"
    texts = ["good good", "bad bad"]
    found = la.augment(
        plan, texts, lm=rewriting(lambda text, seed: "good"), classifier=toy(), dropped=dropped
    )
    assert [text.text for text in found] == ["good good", "good", "bad bad"]
    assert [(drop.text.root, drop.reason) for drop in dropped] == [("1", "label changed")]


@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        (None, "needs a classifier; give one with --classifier"),
        ("folder", '"folder" only names a classifier; give llmaug.classifier("folder")'),
        (chances, "wrap the classifier, so that a run knows it"),
    ],
)
def test_what_is_no_classifier_for_a_plan(classifier, said):
    with pytest.raises(PlanError) as caught:
        list(la.augment("keep() >> keeps_label()", ["good"], classifier=classifier))
    assert said in str(caught.value)


def test_a_run_knows_its_classifier(tmp_path):
    (tmp_path / "texts.txt").write_text("good\n")
    about = (parse("keep() >> keeps_label()"), la.read(tmp_path / "texts.txt"), tmp_path / "o")
    identities = [Job(*about, classifier=toy(mark)).identity() for mark in ("a", "b", "a")]
    assert identities[0] == identities[2] != identities[1]
    with pytest.raises(PlanError, match="cannot tell toy from another classifier"):
        Job(*about, classifier=toy(""))
