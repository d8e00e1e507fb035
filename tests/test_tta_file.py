"""A fitted test-time augmentation as a file: the same again, and nothing that does not fit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_classifier import (
    PLAN,
    examples,
    fitted,
    logits,
    noise,
    plain_words,
    rewriting,
    toy,
    tta,
)

import llmaug as la
from llmaug.classify.tta import TTAClassifier
from llmaug.classify.tta_file import LARGEST, content
from llmaug.errors import ClassifierError, LlmaugError, OutputError, PlanError
from llmaug.testing import FakeBackend

TEXTS = examples(60, seed=4)[0]


@pytest.fixture(scope="module")
def learned():
    """With everything that can be learned."""
    texts, labels = examples(60, slang=True)
    one = tta(rewriting(plain_words), gate="learned", aggregation="learned", seed=3)
    return one.fit(texts, labels, budget=0.5)


def loaded(path, **options):
    return TTAClassifier.load(path, options.pop("classifier", toy()), **options)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, {}),
        ({"gate": "entropy", "aggregation": "vote", "adaptive": False}, {"budget": 0.4}),
        ({"normalise": True, "seed": 5, "aggregation": "logits"}, {"max_id_loss": 0.05}),
        ({}, {"budget": 0}),
        ({"gate": "margin"}, {"budget": 1}),
    ],
)
def test_it_predicts_the_same_to_the_last_bit(tmp_path, options, limits):
    one = fitted(rewriting(noise), **options, **limits)
    one.save(tmp_path / "tta.json")
    other = loaded(tmp_path / "tta.json", lm=rewriting(noise))
    assert np.array_equal(other.predict_proba(TEXTS), one.predict_proba(TEXTS))
    assert other.policy_ == one.policy_
    assert other.classes_.tolist() == one.classes_.tolist()
    assert other.account_.asked == one.account_.asked
    assert str(other.report_) == str(one.report_)


def test_what_was_learned_comes_back(tmp_path, learned):
    learned.save(tmp_path / "tta.json")
    other = loaded(tmp_path / "tta.json", lm=rewriting(plain_words))
    assert other.policy_ == learned.policy_
    assert other.seed == 3
    assert np.array_equal(other.predict_proba(TEXTS), learned.predict_proba(TEXTS))


def test_what_was_loaded_can_be_saved_again(tmp_path):
    for number, limits in enumerate(({}, {"budget": 0}, {"max_id_loss": 0.0})):
        first, again = tmp_path / f"{number}.json", tmp_path / f"{number}-again.json"
        fitted(rewriting(noise), **limits).save(first)
        loaded(first, lm=rewriting(noise)).save(again)
        assert first.read_bytes() == again.read_bytes()
        assert first.read_bytes() == again.read_bytes()


def test_weights_by_likeness_need_the_embedder(tmp_path):
    embedder = la.embedder("fake")
    one = tta(rewriting(noise), aggregation="learned", embedder=embedder).fit(*examples(30))
    one.save(tmp_path / "tta.json")
    other = loaded(tmp_path / "tta.json", lm=rewriting(noise), embedder=embedder)
    assert np.array_equal(other.predict_proba(TEXTS), one.predict_proba(TEXTS))
    with pytest.raises(ClassifierError, match="give the embedder that it was fitted with"):
        loaded(tmp_path / "tta.json", lm=rewriting(noise))


@pytest.mark.parametrize(
    ("gate", "budget", "threshold"),
    [("settled", 0, math.inf), ("entropy", 0, math.inf), ("entropy", 1, -math.inf)],
)
def test_thresholds_without_end(tmp_path, gate, budget, threshold):
    fitted(rewriting(noise), gate=gate, budget=budget).save(tmp_path / "tta.json")
    written = (tmp_path / "tta.json").read_text()
    assert "Infinity" not in written
    assert "NaN" not in written
    assert loaded(tmp_path / "tta.json").policy_.threshold == threshold


def test_no_secret_is_in_it(tmp_path):
    lm = FakeBackend(name="sk-secret")
    lm.parameters = {"api_key": "sk-secret"}
    fitted(lm, cache=tmp_path / "sk-secret.sqlite").save(tmp_path / "tta.json")
    assert "secret" not in (tmp_path / "tta.json").read_text()


def test_a_function_is_given_its_classes_and_outputs(tmp_path):
    one = TTAClassifier(logits, PLAN, rewriting(noise), outputs="logits").fit(*examples(40))
    one.save(tmp_path / "tta.json")
    other = loaded(tmp_path / "tta.json", classifier=logits, outputs="logits", lm=rewriting(noise))
    assert np.array_equal(other.predict_proba(TEXTS), one.predict_proba(TEXTS))
    plain = loaded(tmp_path / "tta.json", classifier=logits, lm=rewriting(noise))
    with pytest.raises(ClassifierError, match="give outputs='logits'"):
        plain.predict(TEXTS)


def changed(path, name, value):
    """The file with another value at a dotted name."""
    about = json.loads(path.read_text())
    place = about
    *outer, last = name.split(".")
    for one in outer:
        place = place[one]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    path.write_text(json.dumps(about))
    return path


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("format", "llmaug tta 0", "was not written by llmaug tta fit; fit it again"),
        ("plan", 5, "does not hold together"),
        ("plan", "paraphrase(n=4", "the plan does not parse"),
        ("plan", "keep() + paraphrase(n=3)", "its plan makes another number of rewrites"),
        ("plan", "keep()", "asks for 0 rewrites"),
        ("plan", "paraphrase(n=2) + simplify(n=2)", "its plan has other sources than its weights"),
        ("plan", "stored('gone.jsonl', n=4)", "gone.jsonl cannot be read"),
        ("seed", "x", "does not hold together"),
        ("classes", ["pos", "neg"], "fitted for the classes ['pos', 'neg'], and toy has"),
        ("classes", ["pos"], "does not hold together"),
        ("classifier", None, "does not hold together"),
        ("classifier.fingerprint", "other", "was fitted with the classifier toy@other"),
        ("policy", [], "does not hold together"),
        ("policy.gate", "learnt", "unknown gate 'learnt'; did you mean learned"),
        ("policy.gate", "entropy", "its learned gate is missing"),
        ("policy.aggregation", "means", "did you mean mean"),
        ("policy.aggregation", "mean", "its learned weights are missing"),
        ("policy.size", None, "does not hold together"),
        ("policy.threshold", "some", "'some' is no number"),
        ("policy.threshold", None, "None is no number"),
        ("policy.stop", KeyError, "does not hold together ('stop')"),
        ("policy.spread.within", 0, "0 is not above 0"),
        ("policy.spread", [0.1], "does not hold together"),
        ("policy.weights", None, "its learned weights are missing"),
        ("policy.weights.original", -1, "-1 is not above 0"),
        ("policy.weights.sources", [], "its plan has other sources than its weights"),
        ("policy.weights.faithful", 1e300, "is beyond"),
        ("policy.model.weights", [1.0], "another number of features"),
        ("policy.model.scales", [0, 0, 0, 0], "0 is not above 0"),
        ("policy.model.intercept", True, "True is no number"),
        ("fitted.chosen", {}, "does not hold together"),
        ("fitted.curve", 3, "does not hold together"),
    ],
)
def test_what_does_not_hold_together(tmp_path, learned, name, value, said):
    learned.save(tmp_path / "tta.json")
    with pytest.raises(LlmaugError) as caught:
        loaded(changed(tmp_path / "tta.json", name, value), lm=rewriting(noise))
    assert isinstance(caught.value, ClassifierError | PlanError)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    notes = " ".join(getattr(caught.value, "__notes__", []))
    assert "tta.json" in str(caught.value) + notes


@pytest.mark.parametrize(
    "written",
    [b"", b"[]", b"{}", b"\xff\x00", b"[" * 99_999, b'{"format": "llmaug gate 1"}', b" " * LARGEST],
)
def test_files_of_others(tmp_path, written):
    (tmp_path / "tta.json").write_bytes(written)
    with pytest.raises(ClassifierError, match="was not written by llmaug tta fit; fit it again"):
        loaded(tmp_path / "tta.json")


def test_a_file_that_is_too_large(tmp_path):
    fitted(rewriting(noise)).save(tmp_path / "tta.json")
    assert content(tmp_path / "tta.json")["plan"] == PLAN
    with (tmp_path / "tta.json").open("a") as file:
        file.write(" " * LARGEST)
    with pytest.raises(ClassifierError, match="was not written by llmaug tta fit"):
        content(tmp_path / "tta.json")


def test_paths_that_are_none(tmp_path):
    one = fitted(rewriting(noise))
    with pytest.raises(ClassifierError, match=r"cannot be read .*; make it with llmaug tta fit"):
        loaded(tmp_path / "tta.json")
    with pytest.raises(ClassifierError, match="cannot be read"):
        loaded(tmp_path)
    with pytest.raises(OutputError, match="does not exist; make it first"):
        one.save(tmp_path / "nowhere" / "tta.json")
    one.save(str(tmp_path / "tta.json"))
    before = (tmp_path / "tta.json").read_bytes()
    assert before.endswith(b"}\n")


def test_another_classifier_is_refused(tmp_path):
    fitted(rewriting(noise)).save(tmp_path / "tta.json")
    other = la.classifier(toy().function, classes=("neg", "pos", "mixed"), fingerprint="toy")
    with pytest.raises(ClassifierError, match="give the classifier that it was fitted with"):
        loaded(tmp_path / "tta.json", classifier=other)
    with pytest.raises(ClassifierError, match="and toy is @v2; fit it again"):
        loaded(tmp_path / "tta.json", classifier=toy("v2"))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
NAMES = ["plan", "seed", "classes", "classifier", "normalise", "policy", "fitted"]
INNER = ["size", "spread", "gate", "threshold", "stop", "adaptive", "weights", "model"]


@given(st.sampled_from([*NAMES, *(f"policy.{name}" for name in INNER)]), JSON)
@settings(max_examples=30, deadline=None)
def test_whatever_stands_in_it_there_is_no_traceback(tmp_path_factory, name, value):
    path = tmp_path_factory.mktemp("tta") / "tta.json"
    fitted(rewriting(noise), number=10, budget=0).save(path)
    said, answers = "", np.zeros(1)
    try:
        answers = loaded(changed(path, name, value), lm=rewriting(noise)).predict_proba(TEXTS[:2])
    except LlmaugError as error:
        said = str(error)
    assert "\n" not in said
    assert np.isfinite(answers).all()
