"""The algebra: what parses, what it prints, and what a wrong plan gets told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmaug as la
from llmaug import plan as plans
from llmaug.errors import PlanError, PromptError

PLANS = [
    "keep()",
    "keep() + paraphrase(n=4) >> similar(min=0.7) >> dedupe()",
    "keep() + (paraphrase(n=2) >> clean()) >> dedupe()",
    "generate('paraphrase', n=2, temperature=0.5) >> length(min_ratio=0.5, max_ratio=2.0)",
    "stored('made.jsonl', n=4, field='rewrites')",
    "edit('swap', rate=0.2, n=3)",
    "icr(examples='train.jsonl', k=4, n=2)",
    "back_translate(via='German', n=2) + keep() + simplify() + formalise()",
    "hyde(n=2) + keywords() >> join(separator='\\n')",
    "generate('back_translate', inputs={'language': \"the 'king''s' English\"})",
]


@pytest.mark.parametrize("text", PLANS)
def test_a_plan_prints_as_it_was_typed(text: str) -> None:
    plan = la.parse(text)
    assert str(plan) == text
    assert la.parse(str(plan)) == plan
    assert hash(la.parse(text)) == hash(plan)


def test_python_and_text_make_the_same_plan() -> None:
    built = la.keep() + la.paraphrase(n=4) >> la.similar(min=0.7) >> la.dedupe()
    assert built == la.parse("keep() + paraphrase(n=4) >> similar(min=0.7) >> dedupe()")


def test_defaults_are_not_printed() -> None:
    assert str(la.parse("paraphrase(n=1)")) == "paraphrase()"
    assert la.parse("paraphrase(n=1)") == la.paraphrase()


NAMES = st.sampled_from(["keep()", "dedupe()", "clean()", "paraphrase(n=2)", "edit('case')"])
TREES = st.recursive(
    NAMES.map(la.parse),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(
        lambda t: t[0] >> t[1] if t[2] else t[0] + t[1]
    ),
    max_leaves=12,
)


@given(TREES)
def test_every_tree_reads_back(tree: la.Step) -> None:
    assert la.parse(str(tree)) == tree


@given(TREES, TREES, TREES)
def test_then_and_both_are_associative(a: la.Step, b: la.Step, c: la.Step) -> None:
    assert (a >> b) >> c == a >> (b >> c)
    assert (a + b) + c == a + (b + c)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("paraphrse(n=4)", "did you mean paraphrase?"),
        ("paraphrase(m=4)", "no argument 'm'"),
        ("paraphrase(4)", "paraphrase"),
        ("paraphrase", "needs parentheses"),
        ("keep() >> ", "does not parse"),
        ("keep() - clean()", "neither a step"),
        ("keep() >> 'x'", "neither a step"),
        ("paraphrase(n=__import__('os'))", "not a literal"),
        ("edit(*[1])", "not a literal"),
        ("edit(**{})", "** is not part of a plan"),
        ("keep().apply()", "neither a step"),
        ("(" * 3000, "does not parse"),
        ("", "does not parse"),
        ("similar()", ""),
    ],
)
def test_a_wrong_plan_is_one_line(text: str, says: str) -> None:
    with pytest.raises(PlanError) as caught:
        plans.check(la.parse(text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("paraphrase(n=0)", "n must be a whole number"),
        ("paraphrase(n=True)", "n must be a whole number"),
        ("paraphrase(temperature=-1)", "temperature must be"),
        ("generate('parafrase')", "did you mean paraphrase?"),
        ("generate('paraphrase', inputs={'langage': 'French'})", "has no input 'langage'"),
        ("generate('back_translate')", "needs the input 'language'"),
        ("generate('../secret')", "no prompt file"),
        ("generate('icr')", "needs the input 'examples'"),
        ("join(3)", "separator must be a string"),
    ],
)
def test_check_looks_at_the_values_before_any_request(text: str, says: str) -> None:
    with pytest.raises((PlanError, PromptError)) as caught:
        plans.check(la.parse(text))
    assert says in str(caught.value)


def test_a_missing_field_is_named_with_close_matches(tmp_path) -> None:
    prompt = tmp_path / "topic.prompty"
    prompt.write_text(
        "---\nname: topic\nmodel:\n  parameters: {max_tokens: 5}\n"
        "inputs:\n  text: it\n  title: its title\n---\nuser:\n{{ title }} {{ text }}\n"
    )
    plan = la.parse(f"generate({str(prompt)!r})")
    with pytest.raises(PlanError, match=r"needs the field 'title'.*did you mean titel"):
        plans.check(plan, frozenset({"titel", "label"}))
    plans.check(plan, frozenset({"title"}))
