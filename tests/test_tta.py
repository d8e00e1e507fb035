"""Test-time augmentation at work: what is decided, what is sent and paid, and what goes wrong."""

from __future__ import annotations

import asyncio
import copy
import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_classifier import (
    examples,
    fitted,
    noise,
    rewriting,
    stored_file,
    toy,
)

import llmaug as la
from llmaug.errors import TextError
from llmaug.text import Text

TEXTS = examples(60, seed=9)[0]
chances = toy().probabilities


@pytest.mark.parametrize("aggregation", ["mean", "logits", "vote", "entropy"])
def test_asking_for_everything_adaptively_is_the_same(aggregation):
    one = fitted(rewriting(noise), budget=1, aggregation=aggregation)
    other = fitted(rewriting(noise), budget=1, aggregation=aggregation, adaptive=False)
    assert np.allclose(one.predict_proba(TEXTS), other.predict_proba(TEXTS), atol=1e-12)
    assert one.account_.asked == other.account_.asked == 4 * len(TEXTS)


@given(st.permutations(range(20)), st.integers(1, 19))
@settings(max_examples=8, deadline=None)
def test_neither_order_nor_company_changes_an_answer(order, cut):
    lm = rewriting(noise)
    one = fitted(lm)
    whole = one.predict_proba(TEXTS[:20])
    turned = [TEXTS[row] for row in order]
    parts = np.concatenate([one.predict_proba(turned[:cut]), one.predict_proba(turned[cut:])])
    assert np.array_equal(parts, whole[list(order)])
    alone = one.explain(TEXTS[order[0]]).decision
    assert np.array_equal(alone.probabilities, whole[order[0]])
    assert one.account_.calls == 0


def test_exactly_what_is_asked_for_is_sent_and_nothing_twice():
    lm = rewriting(noise)
    one = fitted(lm)
    assert lm.asked == 0
    one.predict(TEXTS)
    account = one.account_
    assert lm.asked == account.asked == account.calls
    assert 0 < account.asked < account.possible == 4 * len(TEXTS)
    one.predict_proba(reversed(TEXTS))
    assert one.explain(TEXTS[0]).calls == 0
    assert lm.asked == account.asked


def test_many_texts_are_decided_as_few_are():
    many = examples(1_100, seed=2)[0]
    one = fitted(rewriting(noise), budget=0.1)
    whole = one.predict_proba(many)
    assert one.account_.texts == 1_100
    assert np.array_equal(
        np.concatenate([one.predict_proba(many[at:][:300]) for at in range(0, 1_100, 300)]), whole
    )


def test_kept_replies_go_with_their_owner():
    one = fitted(rewriting(noise), budget=1)
    one.predict(TEXTS[:3])
    replies = one.rewriter_.cache
    assert replies.is_file()
    del one
    gc.collect()
    assert not replies.parent.exists()


def test_with_a_cache_another_process_pays_nothing(tmp_path):
    first, again = rewriting(noise), rewriting(noise)
    one = fitted(first, cache=tmp_path / "replies.sqlite")
    answers = one.predict_proba(TEXTS)
    other = fitted(again, cache=tmp_path / "replies.sqlite")
    assert np.array_equal(other.predict_proba(TEXTS), answers)
    assert (first.asked > 0, again.asked) == (True, 0)


def test_only_the_open_are_rewritten():
    one = fitted(rewriting(noise), budget=0.3)
    decisions = list(one.decide(TEXTS))
    open_ones = [decision for decision in decisions if decision.opened]
    assert 0 < len(open_ones) < len(TEXTS)
    margins = {True: [], False: []}
    for decision in decisions:
        margins[decision.opened].append(abs(decision.plain[0] - decision.plain[1]))
        if not decision.opened:
            assert np.array_equal(decision.probabilities, decision.plain)
            assert (decision.asked, decision.variants) == (0, [])
        else:
            mean = np.mean([decision.plain, *(v.probabilities for v in decision.variants)], axis=0)
            assert decision.probabilities == pytest.approx(mean)
    assert max(margins[True]) < min(margins[False])


def test_blank_texts_are_decided_as_they_are():
    lm = rewriting(noise)
    one = fitted(lm, budget=1)
    assert np.array_equal(one.predict_proba(["", " \n"]), chances(["", " "]))
    assert lm.asked == 0
    assert one.predict_proba([]).shape == (0, 2)
    assert one.predict([]).shape == (0,)
    assert str(one.explain("")).splitlines()[-1].endswith("0 of 4 rewrites asked for, 0 calls sent")


def test_stored_rewrites_by_id(tmp_path):
    file = stored_file(tmp_path / "s.jsonl", {"a": ["great great", "good"], "b": ["awful", " "]})
    one = fitted(plan=f"keep() + stored({str(file)!r}, n=2)", budget=1)
    texts = [Text("fine dull", id, id) for id in ("a", "b", "c")]
    a, b, c = one.decide(texts)
    assert [seen.text.text for seen in a.variants] == ["great great", "good"]
    assert ([seen.text.text for seen in b.variants], b.drops[0].reason) == (["awful"], "empty")
    assert c.fell_back
    assert c.drops[0].reason == f"not in {file}"
    assert one.predict(texts).tolist() == ["pos", "neg", "neg"]
    assert one.account_.calls == 0


ATTACKED = "film gr&#101;at b&#97;d f\u200bine"


def test_the_normaliser_comes_before_the_language_model():
    lm = rewriting(noise)
    plain, cascade = fitted(lm, budget=0.4), fitted(lm, budget=0.4, normalise=True)
    texts = ["film gr&#101;at gr&#101;at", ATTACKED, "film great great", "film fine  dull fine"]
    sure, unsure, clean, spaced = cascade.decide(texts)
    assert (sure.normalised, sure.opened, sure.asked) == ("film great great", False, 0)
    assert np.array_equal(sure.probabilities, chances(["film great great"])[0])
    assert unsure.normalised == "film great bad fine"
    assert (clean.normalised, clean.opened, spaced.normalised) == ("", False, "")
    assert cascade.account_.normalised == 2
    assert "2 normalised" in str(cascade.account_)
    assert next(plain.decide(texts)).opened
    said = str(cascade.explain(texts[0])).splitlines()
    assert said[1] == "read without its noise: film great great"
    assert said[2] == "not rewritten: the gate settled, normalised, is not open for it"


def test_explain_says_what_happened():
    one = fitted(rewriting(noise), budget=1)
    said = str(one.explain("film good\nbad dull")).splitlines()
    assert said[0] == "neg 0.599  the text: film good bad dull"
    assert all("paraphrase(" in line for line in said[1:5])
    assert said[5].endswith("the answer, by mean; 4 of 4 rewrites asked for, 4 calls sent")
    settled = str(fitted(rewriting(noise), budget=0).explain("good"))
    assert "not rewritten: the gate settled is not open for it" in settled


def test_it_works_inside_a_running_event_loop():
    async def inside():
        return fitted(rewriting(noise)).predict(TEXTS).tolist()

    assert asyncio.run(inside()) == fitted(rewriting(noise)).predict(TEXTS).tolist()


def test_the_student_learns_from_the_answers():
    one = fitted(rewriting(noise), classifier=toy())
    texts = [f"{text} {text}" for text in examples(150, seed=3)[0]]
    student = one.distil(texts, embedder=la.embedder("fake"))
    said = student.probabilities(texts).argmax(axis=1)
    answers = one.predict_proba(texts).argmax(axis=1)
    assert student.classes == ("neg", "pos")
    assert (said == answers).mean() > 0.7


def test_a_copy_outlives_what_it_was_copied_from():
    one = fitted(plan="keep() + edit('typo', n=2)", budget=1)
    answers = one.predict_proba(["film good", "film bad"])
    twin = copy.deepcopy(one)
    del one
    assert np.array_equal(twin.predict_proba(["film good", "film bad"]), answers)


def test_strings_have_no_ids_for_stored_rewrites(tmp_path):
    file = stored_file(tmp_path / "s.jsonl", {"0": ["awful"]})
    one = fitted(plan=f"keep() + stored({str(file)!r}, n=1)", budget=1)
    with pytest.raises(TextError, match="a string has none"):
        one.predict(["film good"])


def test_texts_of_the_exemplar_file_are_noticed(tmp_path):
    file = tmp_path / "examples.txt"
    file.write_text("film good\nfilm bad\nfilm fine\n")
    one = fitted(rewriting(noise), plan=f"keep() + icr(examples={str(file)!r}, k=2, n=2)", budget=1)
    one.predict(["film good", "something else"])
    (noticed,) = one.account_.noticed.items()
    assert noticed == (f"texts that stand in the exemplar file {file}", 1)
    assert str(file) in str(one.account_)
