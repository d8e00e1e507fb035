"""What test-time augmentation refuses, each time in one line that says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from toy_classifier import examples, fitted, logits, noise, rewriting, tta

from llmaug.classify.tta import TTAClassifier
from llmaug.errors import ClassifierError, LlmaugError, PlanError, TextError
from llmaug.text import Text

TEXTS, LABELS = examples(60)


@pytest.mark.parametrize(
    ("options", "limits", "said"),
    [
        ({}, {"budget": 1.5}, "budget must be a share from 0 to 1, not 1.5"),
        ({}, {"budget": -0.1}, "budget must be a share"),
        ({}, {"budget": float("nan")}, "budget must be a share"),
        ({}, {"budget": True}, "budget must be a share"),
        ({}, {"budget": "0.4"}, "budget must be a share"),
        ({}, {"max_id_loss": 2}, "max_id_loss must be a share from 0 to 1, not 2"),
        ({"gate": "entropi"}, {}, "unknown gate 'entropi'; did you mean entropy"),
        ({"aggregation": "means"}, {}, "unknown aggregation 'means'; did you mean mean"),
        ({"plan": "keep() + parafrase(n=4)"}, {}, "did you mean paraphrase"),
        ({"plan": "keep()"}, {}, "asks for 0 rewrites"),
        ({"plan": "stored('nowhere.jsonl', n=2)"}, {}, "nowhere.jsonl cannot be read"),
    ],
)
def test_arguments_that_are_refused(options, limits, said):
    with pytest.raises(PlanError) as caught:
        tta(rewriting(noise), **options).fit(TEXTS, LABELS, **limits)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "labels", "options", "said"),
    [
        ([], [], {}, "the labels are missing"),
        (["good"], ["pos"], {}, "the labels are all 'pos'; a gate is set on texts of two or more"),
        (["good", "bad"], ["pos"], {}, "2 texts and 1 labels"),
        (["good", "bad"], ["pos", "meh"], {}, "the label 'meh' is no class; they are 'neg', 'pos'"),
        (["good", "bad"], ["pos", 0.5], {}, "is neither a string nor a whole number"),
        (["good", "bad"], ["pos", None], {}, "is neither a string nor a whole number"),
        (["good", "bad"], ["pos", "neg"], {"gate": "learned"}, "2 texts are too few to learn from"),
        (["good", "bad"], ["pos", "neg"], {"aggregation": "learned"}, "too few to learn from"),
    ],
)
def test_labels_that_are_refused(texts, labels, options, said):
    with pytest.raises(ClassifierError) as caught:
        tta(rewriting(noise), **options).fit(texts, labels)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_id_twice_is_refused():
    twice = [Text(text, "x", "x") for text in ("good", "bad")]
    with pytest.raises(TextError, match="two texts have the same id; give each its own"):
        tta(rewriting(noise)).fit(twice, ["pos", "neg"], max_id_loss=0.0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (logits, "these look like logits; if they are, give outputs='logits'"),
        (lambda texts: np.zeros((len(texts), 3)) + 1 / 3, "gave 3 columns for 2 classes"),
        (lambda texts: np.full((1, 2), 0.5), "gave 1 rows for 60 texts"),
        (lambda texts: np.full((len(texts), 2), np.nan), "gave NaN in row 0, column 0"),
        (lambda texts: np.zeros(len(texts)), "gave one value for each text, as `predict` does"),
        (lambda texts: None, "gave no table of numbers but NoneType"),
    ],
)
def test_classifiers_that_are_refused(function, said):
    lm = rewriting(noise)
    with pytest.raises(LlmaugError) as caught:
        TTAClassifier(function, "paraphrase()", lm).fit(TEXTS, LABELS)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert lm.asked == 0


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("a good film", "texts must be a list; for one text write"),
        (["good", 3.5], "text 1 is a float, not a string or a Text"),
        ([b"good"], "text 0 is a bytes, not a string"),
        ([Text("good bad", "x", "x"), Text("bad", "x", "x")], "two texts have the same id"),
    ],
)
def test_texts_that_are_none(texts, said):
    one = fitted(rewriting(noise), budget=1)
    with pytest.raises(TextError, match=said) as caught:
        one.predict(texts)
    assert "\n" not in str(caught.value)


def test_before_fit_it_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet") as caught:
        tta().predict(["good"])
    assert "\n" not in str(caught.value)
