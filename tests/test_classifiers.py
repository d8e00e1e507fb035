"""Any classifier behind one protocol: functions, scikit-learn, transformers folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_classifier import LABELS, TEXTS, write_tiny_classifier

from llmaug.classify.classifiers import bare, classifier
from llmaug.classify.probabilities import checked
from llmaug.errors import ClassifierError, LlmaugError, ModelError
from llmaug.request import Classifier

HALVES = [[0.5, 0.5], [0.2, 0.8]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("transformers", reason="needs the extra transformers")
    return write_tiny_classifier(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture
def pipeline():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(CountVectorizer(), LogisticRegression())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "no table of numbers but NoneType"),
        ("text", "no table of numbers but str"),
        ([[0.1, 0.9], [1.0]], "no table of numbers but list"),
        ([["a", "b"], ["c", "d"]], "no table of numbers but list"),
        (np.zeros((2, 2, 2)), r"of the shape \(2, 2, 2\)"),
        (["negative", "positive"], "one value for each text, as `predict` does"),
        ([0.3, 0.7], "as `predict_proba` does"),
        ([[0.5, 0.5]], "gave 1 rows for 2 texts"),
        ([[0.2, 0.3, 0.5]] * 2, "gave 3 columns for 2 classes"),
        ([[0.5, 0.5], [np.nan, 1]], "gave NaN in row 1, column 0"),
        ([[0.5, np.inf], [0, 1]], "an infinite number in row 0, column 1"),
        ([[1.7, 1.5], [0, 1]], "row 0 sums to 3.2; these look like logits"),
        ([[0.5, 0.5], [-0.5, 1.5]], "row 1 holds -0.5; these look like logits"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused_in_one_line(output, message):
    with pytest.raises(ClassifierError, match=message) as caught:
        checked(output, rows=2, classes=2, name="mine")
    assert str(caught.value).startswith("mine gave")
    assert "\n" not in str(caught.value)


def test_one_column_is_refused_where_the_classes_are_not_known():
    with pytest.raises(ClassifierError, match="one for each class"):
        checked([[1.0]], rows=1)


def test_rounding_is_made_good():
    found = checked(np.array([[0.3003, 0.7], [1.0001, -0.0001]], dtype=np.float16), rows=2)
    assert found.dtype == np.float64
    assert found.sum(axis=1) == pytest.approx([1, 1], abs=1e-15)
    assert (found >= 0).all()


def test_logits_become_probabilities_without_overflow():
    found = checked([[1000.0, 1000.0], [-1e300, 1e300]], rows=2, outputs="logits")
    assert found.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_a_function_needs_the_names_of_its_classes():
    def mine(texts):
        return HALVES[: len(texts)]

    found = classifier(mine, classes=["no", "yes"])
    assert isinstance(found, Classifier)
    assert found.classes == ("no", "yes")
    assert found.fingerprint == ""
    assert found.name.endswith("mine")
    assert found.probabilities(["a", "b"]).tolist() == HALVES
    assert found.probabilities([]).shape == (0, 2)
    with pytest.raises(ClassifierError, match="name them"):
        classifier(mine)
    unnamed = bare(mine)
    assert unnamed.probabilities(["a", "b"]).tolist() == HALVES
    assert unnamed.classes == ()
    assert unnamed.of_classes([0, 1]).classes == (0, 1)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a"], "all 'a'"),
        ([], "name at least two"),
        (["a", "a"], "named twice"),
        (["a", 1], "some are numbers"),
        ([True, False], "neither a string nor a whole number"),
        ([0.5, 1.5], "neither a string nor a whole number"),
    ],
)
def test_classes_that_are_none(classes, message):
    with pytest.raises(ClassifierError, match=message):
        classifier(len, classes=classes)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (3, {}, "int is no classifier"),
        ("nowhere", {}, "there is no folder nowhere; make a classifier"),
        (".", {}, "has neither classifier.json"),
        (len, {"outputs": "logit"}, "did you mean logits"),
        ("x", {"outputs": "logits"}, "leave them out"),
    ],
)
def test_a_source_that_is_no_classifier(source, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClassifierError, match=message):
        classifier(source, **options)


def test_a_classifier_comes_back_as_it_is():
    made = classifier(len, classes=[0, 1], fingerprint="abc")
    assert classifier(made) is made
    assert made.fingerprint == "abc"


def test_a_scikit_learn_pipeline(pipeline):
    with pytest.raises(ClassifierError, match="Pipeline is not fitted"):
        classifier(pipeline)
    found = classifier(pipeline.fit(TEXTS, LABELS))
    assert found.classes == ("negative", "positive")
    assert np.allclose(found.probabilities(TEXTS), pipeline.predict_proba(TEXTS))
    with pytest.raises(ClassifierError, match="in this order"):
        classifier(pipeline, classes=["positive", "negative"])


@pytest.mark.parametrize("labels", [LABELS, [0, 0, 1, 1, 2, 2, 2, 2]])
def test_a_decision_function_decides_as_predict_does(pipeline, labels):
    from sklearn.svm import LinearSVC

    pipeline.steps[-1] = ("svm", LinearSVC())
    found = classifier(pipeline.fit(TEXTS, labels))
    best = found.probabilities(TEXTS).argmax(axis=1)
    assert [found.classes[one] for one in best] == pipeline.predict(TEXTS).tolist()


def test_a_transformers_folder(folder):
    found = classifier(folder, batch_size=3, device="cpu")
    assert found.classes == ("LABEL_0", "LABEL_1")
    assert len(found.fingerprint) == 12
    texts = [*TEXTS, "", "\ud800", "good " * 500]
    one_by_one = np.concatenate([found.probabilities([text]) for text in texts])
    assert np.allclose(found.probabilities(texts), one_by_one, atol=1e-5)
    assert len(set(one_by_one[:, 0].round(6))) > 4
    assert found.probabilities([]).shape == (0, 2)
    named = classifier(folder, classes=["bad", "good"])
    assert named.classes == ("bad", "good")
    assert named.fingerprint != found.fingerprint
    with pytest.raises(ClassifierError, match=r"2 classes .* and 3 are named"):
        classifier(folder, classes=["a", "b", "c"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["BertModel"]}, "holds BertModel, which is no sequence classifier"),
        ({"problem_type": "multi_label_classification"}, "gives multi_label_classification"),
        ({"problem_type": "regression"}, "gives regression"),
        ({"id2label": {"0": "score"}}, "gives a single score"),
        ({"id2label": {"1": "a", "2": "b"}}, "is not a configuration"),
        ({"id2label": {"0": "a", "1": "a"}}, "named twice"),
    ],
)
def test_a_model_that_chooses_no_class_is_refused(folder, tmp_path, change, message):
    config = json.loads((folder / "config.json").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ClassifierError, match=message):
        classifier(tmp_path)


@pytest.mark.parametrize("weights", ["pytorch_model.bin", None])
def test_weights_that_are_not_safetensors_are_refused(folder, tmp_path, weights):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    if weights:
        (tmp_path / weights).write_bytes(b"never read")
    with pytest.raises(ModelError, match="safetensors"):
        classifier(tmp_path)


def test_a_model_without_a_trained_head_is_refused(folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    kept = {k: v for k, v in load_file(folder / "model.safetensors").items() if "bert." in k}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LlmaugError, match="not trained as a classifier"):
        classifier(tmp_path).probabilities(["good"])
