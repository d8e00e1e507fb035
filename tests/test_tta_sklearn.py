"""Test-time augmentation with the manners of scikit-learn: clones, searches, pipelines, labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted
from toy_classifier import examples, noise, opposite, plain_words, rewriting, toy, tta

from llmaug.classify.tta import TTAClassifier
from llmaug.errors import ClassifierError

TEXTS, LABELS = examples(60)
PLAN = "keep() + paraphrase(n=2)"


def words():
    return make_pipeline(CountVectorizer(), LogisticRegression())


def test_a_clone_has_the_same_parameters_and_shares_the_models():
    lm, classifier = rewriting(noise), toy()
    one = TTAClassifier(classifier, PLAN, lm, gate="entropy", seed=7, normalise=True)
    other = clone(one)
    assert other is not one
    assert other.get_params(deep=False) == one.get_params(deep=False)
    assert other.lm is lm
    assert other.classifier is classifier
    one.fit(TEXTS, LABELS)
    with pytest.raises(NotFittedError):
        clone(one).predict(TEXTS)


def test_a_clone_of_an_estimator_is_not_fitted():
    pipeline = words().fit(TEXTS, LABELS)
    other = clone(TTAClassifier(pipeline, PLAN))
    assert other.classifier is not pipeline
    with pytest.raises(NotFittedError):
        check_is_fitted(other.classifier)
    frozen = clone(TTAClassifier(FrozenEstimator(pipeline), PLAN, rewriting(noise)))
    assert np.allclose(
        frozen.fit(TEXTS, LABELS, budget=0).predict_proba(TEXTS), pipeline.predict_proba(TEXTS)
    )


def test_parameters_are_set_and_found():
    one = TTAClassifier(words(), PLAN)
    one.set_params(gate="margin", classifier__logisticregression__C=0.5)
    assert one.gate == "margin"
    assert one.classifier[-1].C == 0.5
    assert one.get_params()["classifier__logisticregression__C"] == 0.5
    assert is_classifier(one)
    assert "gate='margin'" in repr(one)
    with pytest.raises(ValueError, match="Invalid parameter 'gates'"):
        one.set_params(gates="margin")


@pytest.mark.parametrize("params", [None, {"budget": 0.5}, {"max_id_loss": 0.0}])
def test_cross_validation_of_an_estimator_that_is_not_fitted(params):
    one = TTAClassifier(words(), PLAN, rewriting(noise))
    scores = cross_val_score(one, TEXTS, LABELS, cv=3, params=params)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert scores.mean() > 0.6
    closed = cross_val_score(one, TEXTS, LABELS, cv=3, params={"budget": 0})
    assert closed == pytest.approx(cross_val_score(words(), TEXTS, LABELS, cv=3))


def test_cross_validated_probabilities():
    one = TTAClassifier(words(), PLAN, rewriting(noise))
    found = cross_val_predict(one, TEXTS, LABELS, cv=3, method="predict_proba")
    assert found.shape == (60, 2)
    assert np.allclose(found.sum(axis=1), 1)


def test_it_is_the_end_of_a_pipeline():
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    one = Pipeline([("lower", lower), ("tta", tta(rewriting(noise)))])
    one.fit([text.upper() for text in TEXTS], LABELS, tta__budget=0)
    assert one.predict([text.upper() for text in TEXTS]).tolist() == (
        one.classes_[toy().probabilities(TEXTS).argmax(axis=1)].tolist()
    )
    assert one.score(TEXTS, LABELS) > 0.8


def test_a_search_over_gates():
    search = GridSearchCV(
        TTAClassifier(toy(), PLAN, rewriting(noise)),
        {"gate": ["settled", "entropy"], "aggregation": ["mean", "vote"]},
        cv=2,
    )
    search.fit(TEXTS, LABELS, budget=0.4)
    assert len(search.cv_results_["mean_test_score"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.report_.chosen.calls <= 0.4
    assert search.predict(TEXTS[:3]).shape == (3,)


@pytest.mark.parametrize("names", [("neg", "pos"), ("z", "a"), (0, 1), (7, 3)])
def test_labels_of_every_kind(names):
    labels = [names[label == "pos"] for label in LABELS]
    one = TTAClassifier(words(), PLAN, rewriting(noise)).fit(TEXTS, labels)
    assert one.classes_.tolist() == sorted(names)
    assert set(one.predict(TEXTS)) <= set(names)
    assert one.predict(TEXTS).dtype == one.classes_.dtype
    best = one.predict_proba(TEXTS).argmax(axis=1)
    assert one.predict(TEXTS).tolist() == one.classes_[best].tolist()
    assert one.score(TEXTS, labels) > 0.7
    again = TTAClassifier(words(), PLAN, rewriting(noise)).fit(np.array(TEXTS), np.array(labels))
    assert np.array_equal(again.predict_proba(np.array(TEXTS)), one.predict_proba(TEXTS))
    objects = np.array(TEXTS, dtype=object)
    assert np.array_equal(again.predict(objects), one.predict(tuple(TEXTS)))


def test_classes_keep_the_order_of_the_classifier():
    named = TTAClassifier(
        lambda texts: toy().probabilities(texts), PLAN, rewriting(noise), classes=["pos", "neg"]
    )
    named.fit(TEXTS, LABELS, budget=0)
    assert named.classes_.tolist() == ["pos", "neg"]
    assert named.score(TEXTS, LABELS) < 0.3  # the columns were named the wrong way round


def test_labels_that_fit_never_saw_are_wrong_and_no_error():
    one = tta(rewriting(noise)).fit(TEXTS, LABELS)
    assert one.score(["film good", "film bad"], ["mixed", "neg"]) == 0.5


def test_a_fitted_estimator_is_not_fitted_again():
    pipeline = words().fit(TEXTS, LABELS)
    before = pipeline[-1].coef_.copy()
    other_way = [{"neg": "pos", "pos": "neg"}[label] for label in LABELS]
    one = TTAClassifier(pipeline, PLAN, rewriting(noise)).fit(TEXTS, other_way, budget=0)
    assert np.array_equal(pipeline[-1].coef_, before)
    assert np.allclose(one.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))


def test_an_estimator_that_is_not_fitted_stays_so():
    pipeline = words()
    one = TTAClassifier(pipeline, PLAN, rewriting(noise)).fit(TEXTS, LABELS)
    with pytest.raises(NotFittedError):
        check_is_fitted(pipeline)
    assert one.classifier_.name == "Pipeline"


def test_the_gate_is_not_set_on_what_was_trained_on():
    # One word each that no other text has: by heart the training texts are all right.
    texts, labels = [f"w{row}" for row in range(40)], ["a", "b"] * 20
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression(C=1e4))
    one = TTAClassifier(pipeline, "paraphrase()", rewriting(opposite)).fit(texts, labels)
    assert one.score(texts, labels) == 1.0
    assert one.report_.plain < 0.9


def test_a_margin_is_enough():
    svm = make_pipeline(CountVectorizer(), LinearSVC())
    one = TTAClassifier(svm, PLAN, rewriting(noise)).fit(TEXTS, LABELS)
    assert np.allclose(one.predict_proba(TEXTS).sum(axis=1), 1)


class Foreign:
    """Has the manners of a fitted scikit-learn classifier, and none of its tags or parameters."""

    classes_ = np.array(["neg", "pos"])

    def fit(self, texts, labels):
        raise AssertionError("it is fitted")

    def predict(self, texts):
        return self.classes_[self.predict_proba(texts).argmax(axis=1)]

    def predict_proba(self, texts):
        return toy().probabilities(texts)


def test_an_estimator_of_others():
    one = TTAClassifier(Foreign(), PLAN, rewriting(noise)).fit(TEXTS, LABELS, budget=0)
    assert np.allclose(one.predict_proba(TEXTS), toy().probabilities(TEXTS))


class NoChances(ClassifierMixin, BaseEstimator):
    def fit(self, texts, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, texts):
        return self.classes_[:1].repeat(len(texts))


@pytest.mark.parametrize(
    ("estimator", "labels", "said"),
    [
        (NoChances(), LABELS, "has neither predict_proba nor decision_function"),
        (
            words(),
            ["once", *["other"] * 59],
            "the class 'once' has a single text; give",
        ),
    ],
)
def test_estimators_that_are_refused(estimator, labels, said):
    with pytest.raises(ClassifierError, match=said) as caught:
        TTAClassifier(estimator, PLAN, rewriting(noise)).fit(TEXTS, labels)
    assert "\n" not in str(caught.value)


def test_learning_with_an_estimator_trained_in_folds():
    texts, labels = examples(80, slang=True)
    one = TTAClassifier(
        words(), PLAN, rewriting(plain_words), gate="learned", aggregation="learned"
    ).fit(texts, labels, budget=0.5, max_id_loss=0.05)
    assert one.report_.rewritten
    assert one.report_.chosen.accuracy >= one.report_.plain - 0.05
    assert len(one.policy_.weights.sources) == 1
    assert len(one.policy_.model.weights) == 4
