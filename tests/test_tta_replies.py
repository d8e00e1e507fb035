"""Test-time augmentation with a language model that misbehaves: odd replies, refusals, an end."""

from __future__ import annotations

import numpy as np
import pytest
from toy_classifier import examples, fitted, noise, opposite, rewriting, text_of, toy

from llmaug.errors import BackendStopped, RequestRefused
from llmaug.testing import FakeBackend

TEXTS = examples(60, seed=9)[0]
chances = toy().probabilities


REPLIES = {
    "unchanged": (lambda text, seed: text, True),
    "empty": (lambda text, seed: "", True),
    "refusal": (lambda text, seed: "I'm sorry, but I can't help with that.", True),
    "3,000 words": (lambda text, seed: "bad " * 3000, True),
}


@pytest.mark.parametrize("plan", ["keep() + paraphrase(n=3)", "paraphrase(n=3)"])
@pytest.mark.parametrize("name", REPLIES)
def test_odd_replies(name, plan):
    change, falls_back = REPLIES[name]
    one = fitted(rewriting(change), plan=plan, budget=1)
    answers = one.predict_proba(TEXTS)
    assert np.allclose(answers.sum(axis=1), 1)
    assert one.account_.asked == 3 * len(TEXTS)
    assert (one.account_.fell_back == len(TEXTS)) == falls_back
    if falls_back:
        assert np.array_equal(answers, chances(TEXTS))


def test_a_filter_against_3000_words():
    change = REPLIES["3,000 words"][0]
    plan = "keep() + paraphrase(n=3) >> length(max_ratio=3.0)"
    one = fitted(rewriting(change), plan=plan, budget=1)
    assert np.array_equal(one.predict_proba(TEXTS), chances(TEXTS))
    assert one.account_.fell_back == len(TEXTS)
    assert one.account_.changed == 0
    (reason,) = one.account_.drops
    assert "without a usable rewrite, decided as they are; dropped: " in str(one.account_)
    said = str(one.explain(TEXTS[0])).splitlines()
    assert sum(line.startswith(f"dropped, {reason}: ") for line in said) == 3
    assert "no rewrite is left, so the text is decided as it is" in said
    assert said[-1].endswith("by mean; 3 of 3 rewrites asked for, 0 calls sent")
    assert max(map(len, said)) < 400


def refusing(text, seed):
    if "awful" in text:
        raise RequestRefused("the prompt\nis too long")
    return noise(text, seed)


def test_a_refused_text_is_decided_as_it_is_and_asked_for_once():
    lm = rewriting(refusing)
    one = fitted(lm, budget=1)
    answers = one.predict_proba(TEXTS)
    refused = ["awful" in text for text in TEXTS]
    assert np.array_equal(answers[refused], chances(TEXTS)[refused])
    assert one.account_.failed == sum(refused) == one.account_.fell_back
    assert lm.asked == sum(refused) + 4 * (len(TEXTS) - sum(refused)) == one.account_.asked
    assert f"{sum(refused)} whose rewriting failed" in str(one.account_)
    said = str(one.explain("film awful good")).splitlines()
    assert said[1].startswith("rewriting failed: RequestRefused")
    assert len(said) == 4


def test_what_came_before_a_failure_counts():
    def answer(request):
        if request.sample:
            raise RequestRefused("no second one")
        return opposite(text_of(request), 0)

    one = fitted(FakeBackend(answer), budget=1)
    decision = one.explain("film awful good good").decision
    assert (len(decision.variants), decision.asked, decision.fell_back) == (1, 2, False)
    assert decision.failure.startswith("RequestRefused")


@pytest.mark.parametrize("unfit", range(4))
@pytest.mark.parametrize("adaptive", [True, False])
def test_an_unfit_reply_costs_one_rewrite(unfit, adaptive):
    lm = FakeBackend(lambda request: "" if request.sample == unfit else "great great")
    one = fitted(lm, budget=1, adaptive=adaptive)
    decision = one.explain("film awful").decision
    assert (len(decision.variants), decision.asked, decision.failure) == (3, 4, "")
    assert [drop.reason for drop in decision.drops] == ["unfit reply"]


def test_a_backend_that_stopped_stops():
    def answer(request):
        raise BackendStopped("wrong key")

    one = fitted(FakeBackend(answer), budget=1)
    with pytest.raises(BackendStopped, match="wrong key"):
        one.predict(TEXTS)
