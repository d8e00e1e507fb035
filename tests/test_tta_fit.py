"""Fitting test-time augmentation: budgets, losses, what is learned, and what is refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_classifier import (
    WORDS,
    examples,
    fitted,
    logits,
    noise,
    opposite,
    plain_words,
    rewriting,
    stored_file,
    toy,
    tta,
)

import llmaug as la
from llmaug.classify import openness
from llmaug.classify.calibration import Point, choose
from llmaug.classify.settled import SETTLED
from llmaug.classify.tta import TTAClassifier
from llmaug.errors import RequestRefused
from llmaug.text import Text

TEXTS, LABELS = examples(60)
GATES = [gate for gate in openness.KINDS if gate != "learned"]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("aggregation", ["mean", "vote"])
def test_a_budget_of_0_is_the_classifier_itself(gate, aggregation):
    lm = rewriting(opposite)
    one = tta(lm, gate=gate, aggregation=aggregation).fit(TEXTS, LABELS, budget=0)
    assert np.array_equal(one.predict_proba(TEXTS), toy().probabilities(TEXTS))
    assert (lm.asked, one.account_.asked, one.account_.opened) == (0, 0, 0)
    assert one.policy_.threshold == math.inf
    assert one.report_.chosen.calls == 0


@pytest.mark.parametrize("gate", GATES)
def test_a_budget_of_1_opens_everything(gate):
    lm = rewriting(noise)
    one = tta(lm, gate=gate, adaptive=False).fit(TEXTS, LABELS, budget=1)
    one.predict(TEXTS)
    assert lm.asked == one.account_.asked == one.account_.possible == 4 * len(TEXTS)


def test_a_budget_of_1_asks_for_everything_one_at_a_time_too():
    one = fitted(rewriting(noise), budget=1)
    one.predict(["great great great great", "good bad"])
    assert one.account_.asked == 8


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("budget", [0.1, 0.42, 0.8])
def test_a_budget_between_is_kept(gate, budget):
    lm = rewriting(noise)
    one = tta(lm, gate=gate, adaptive=False).fit(TEXTS, LABELS, budget=budget)
    assert lm.asked == 0
    assert one.report_.chosen.calls <= budget
    one.predict(TEXTS)
    assert lm.asked / one.account_.possible <= budget + 1e-9


def test_a_budget_for_adaptive_rewrites_is_nearly_kept():
    lm = rewriting(noise)
    one = tta(lm).fit(TEXTS, LABELS, budget=0.42)
    one.predict(TEXTS)
    assert 0.2 < lm.asked / one.account_.possible <= 0.42 + 0.08


def test_a_budget_is_kept_to_the_call_where_calls_are_counted():
    lm = rewriting(noise)
    one = tta(lm).fit(TEXTS, LABELS, budget=0.42, max_id_loss=1.0)
    one.predict(TEXTS)
    assert one.account_.asked / one.account_.possible == one.report_.chosen.calls <= 0.42
    assert lm.asked == 4 * len(TEXTS)  # those of fit, and none since


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=6, deadline=None)
def test_a_larger_budget_opens_no_fewer(one, other):
    small, large = sorted((one, other))
    fits = [tta(rewriting(noise)).fit(TEXTS, LABELS, budget=budget) for budget in (small, large)]
    assert fits[0].report_.chosen.texts <= fits[1].report_.chosen.texts
    assert fits[0].policy_.threshold >= fits[1].policy_.threshold


def test_without_limits_the_rule_decides():
    lm = rewriting(noise)
    one = tta(lm).fit(TEXTS, LABELS)
    assert (one.policy_.threshold, one.policy_.stop) == (SETTLED, SETTLED)
    assert tta(lm, gate="entropy").fit(TEXTS, LABELS).policy_.threshold == -math.inf
    assert lm.asked == 0
    assert not one.report_.rewritten
    assert "expected from 60 texts" in str(one.report_)


def always_wrong(text, seed):
    return f"{opposite(text, seed)} {opposite(text, seed)} {opposite(text, seed)}"


POINTS = [
    Point(math.inf, 0.0, 0.0, 0.0, 0.9),
    Point(0.5, 0.2, 0.5, 0.1, 0.89),
    Point(0.2, 0.5, 0.9, 0.4, 0.9),
    Point(0.1, 0.6, 0.9, 0.4, 0.9),
    Point(0.0, 1.0, 1.0, 1.0, 0.8),
]


@pytest.mark.parametrize(
    ("budget", "max_id_loss", "chosen"),
    [
        (0, None, 0),
        (0.05, None, 0),
        (0.1, None, 1),
        (0.99, None, 3),
        (1, None, 4),
        (None, 0.0, 3),
        (0.3, 0.0, 0),
        (0.3, 0.01, 1),
        (None, 0.1, 4),
        (0, 1.0, 0),
    ],
)
def test_the_most_within_the_limits_is_chosen(budget, max_id_loss, chosen):
    found = choose(POINTS, plain=0.9, budget=budget, max_id_loss=max_id_loss)
    assert found == POINTS[chosen]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("adaptive", [True, False])
def test_no_loss_closes_the_gate_on_harm(gate, adaptive):
    texts = [text for text in TEXTS if (toy().probabilities([text]).max() > 0.6)]
    labels = [("neg", "pos")[one] for one in toy().probabilities(texts).argmax(axis=1)]
    lm = rewriting(always_wrong)
    one = tta(lm, gate=gate, adaptive=adaptive).fit(texts, labels, max_id_loss=0.0)
    assert lm.asked == 4 * len(texts)
    assert one.report_.chosen.accuracy == one.report_.plain == 1.0
    assert one.report_.chosen.texts == 0
    assert one.predict(texts).tolist() == labels


def test_no_loss_opens_it_on_help():
    texts, labels = examples(80, slang=True)
    lm = rewriting(plain_words)
    one = tta(lm).fit(texts, labels, max_id_loss=0.0)
    assert one.report_.chosen.accuracy > one.report_.plain
    assert one.report_.chosen.texts > 0.9
    assert "counted on 80 texts" in str(one.report_)
    asked = lm.asked
    assert one.score(texts, labels) == one.report_.chosen.accuracy
    assert lm.asked == asked  # the replies of fit are kept


def test_both_limits_hold():
    texts, labels = examples(80, slang=True)
    one = tta(rewriting(plain_words)).fit(texts, labels, max_id_loss=0.0, budget=0.3)
    assert 0 < one.report_.chosen.calls <= 0.3
    assert one.report_.chosen.accuracy >= one.report_.plain


def test_the_curve_goes_from_closed_to_open():
    one = fitted(rewriting(noise), max_id_loss=0.1, number=60)
    curve = one.report_.curve
    assert (curve[0].texts, curve[0].calls, curve[0].accuracy) == (0, 0, one.report_.plain)
    assert (curve[-1].texts, curve[-1].mistakes, curve[-1].calls) == (1, 1, 1)
    assert all(a.texts <= b.texts and a.calls <= b.calls for a, b in itertools.pairwise(curve))
    assert one.report_.chosen in curve


def test_a_gate_learns_where_rewriting_helps():
    texts, labels = examples(120, slang=True)
    one = tta(rewriting(plain_words), gate="learned").fit(texts, labels, budget=0.5)
    assert 0 < one.report_.chosen.calls <= 0.5
    scores = one.policy_.openness(toy().probabilities(texts), texts)
    helped = one.predict(texts) != np.array(
        [("neg", "pos")[p] for p in toy().probabilities(texts).argmax(axis=1)]
    )
    assert scores[helped].mean() > scores[~helped].mean()


def test_weights_are_learned_for_each_source():
    texts, labels = examples(120, slang=True)

    def answer(text, seed):
        return plain_words(text, seed)

    plan = "keep() + paraphrase(n=2) + edit('delete', rate=0.6, n=2)"
    one = tta(rewriting(answer), plan=plan, aggregation="learned").fit(texts, labels)
    helpful, harmful = one.policy_.weights.sources
    assert helpful > harmful
    assert one.report_.rewritten
    likely = tta(
        rewriting(answer), plan=plan, aggregation="learned", embedder=la.embedder("fake")
    ).fit(texts, labels)
    assert likely.policy_.weights.faithful != 0


def test_failures_while_fitting_are_counted():
    def refuse(text, seed):
        if "awful" in text:
            raise RequestRefused("too long")
        return noise(text, seed)

    lm = rewriting(refuse)
    one = tta(lm).fit(TEXTS, LABELS, max_id_loss=1.0)
    refused = sum("awful" in text for text in TEXTS)
    assert one.report_.failed == refused
    assert str(one.report_).endswith(f"; the rewriting of {refused} of them failed")
    assert lm.asked == refused + 4 * (len(TEXTS) - refused)


def test_blank_texts_can_be_fitted_on():
    one = tta(rewriting(noise)).fit(["", " ", *TEXTS], ["pos", "neg", *LABELS], max_id_loss=1.0)
    assert one.report_.texts == 62


def test_logits_with_their_name():
    one = TTAClassifier(logits, "paraphrase()", rewriting(noise), outputs="logits")
    found = one.fit(TEXTS, LABELS, budget=0).predict_proba(TEXTS)
    assert np.allclose(found, toy().probabilities(TEXTS))
    assert one.classes_.tolist() == ["neg", "pos"]


def test_accuracies_of_the_curve_are_of_texts_not_learned_from(tmp_path):
    # Labels by chance, and many sources: what fits them by heart is worth nothing elsewhere.
    draw, names = np.random.default_rng(1), range(8)
    texts = [Text(text, str(row), str(row)) for row, text in enumerate(examples(40)[0])]
    labels = np.where(draw.random(40) < 0.5, "neg", "pos").tolist()
    plan = "keep()"
    for name in names:
        words = {str(row): [" ".join(draw.choice(WORDS, 3))] for row in range(40)}
        plan += f" + stored({str(stored_file(tmp_path / f'{name}.jsonl', words))!r}, n=1)"
    one = tta(plan=plan, aggregation="learned", gate="margin", adaptive=False)
    one.fit(texts, labels)
    assert one.report_.chosen.texts == 1
    assert one.score(texts, labels) > one.report_.chosen.accuracy
