"""The small classifier: training, soft labels, its folder and what is refused there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_classifier import LABELS, TEXTS

from llmaug.classify.classifiers import classifier
from llmaug.classify.small import open_small, train
from llmaug.embedders.embed import embedder
from llmaug.errors import ClassifierError, OutputError

pytest.importorskip("sklearn", reason="needs scikit-learn")
FAKE = embedder("fake")


def small(labels=LABELS, **options):
    return train(TEXTS, labels, embedder=FAKE, **options)


def test_it_learns_and_gives_a_column_for_each_class():
    made = small(regularisation=100)
    assert made.classes == ("negative", "positive")
    best = made.probabilities(TEXTS).argmax(axis=1)
    assert [made.classes[one] for one in best] == LABELS
    assert made.probabilities([]).shape == (0, 2)


def test_it_is_the_logistic_regression_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    labels = [0, 0, 1, 1, 2, 2, 2, 2]
    for given in (LABELS, labels):
        theirs = LogisticRegression(max_iter=1000).fit(FAKE.encode(TEXTS).astype(float), given)
        expected = theirs.predict_proba(FAKE.encode(TEXTS).astype(float))
        assert np.allclose(small(given).probabilities(TEXTS), expected, atol=1e-6)


def test_a_text_alone_gets_what_it_gets_among_others():
    made = small()
    together = made.probabilities(TEXTS)
    assert all(
        (made.probabilities([t])[0] == p).all() for t, p in zip(TEXTS, together, strict=True)
    )


def test_sure_soft_labels_train_what_labels_do():
    soft = np.array([[0.0, 1.0]] * 4 + [[1.0, 0.0]] * 4)
    same = small(soft, classes=["negative", "positive"]).probabilities(TEXTS)
    assert np.allclose(same, small().probabilities(TEXTS), atol=1e-6)


def test_soft_labels_pull_towards_their_probabilities():
    soft = np.array([[0.4, 0.6]] * 4 + [[0.9, 0.1]] * 4)
    found = small(soft, classes=[0, 1], regularisation=1e4).probabilities(TEXTS)
    # With a bias and next to no regularisation, the means of both agree at the optimum.
    assert np.allclose(found.mean(axis=0), soft.mean(axis=0), atol=1e-3)
    assert found[:4, 1].mean() == pytest.approx(0.6, abs=0.05)


def test_weights_count_as_copies():
    twice = train([*TEXTS, TEXTS[0]], [*LABELS, LABELS[0]], embedder=FAKE)
    weighted = small(weights=[2, *[1] * 7])
    assert np.allclose(twice.probabilities(TEXTS), weighted.probabilities(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["positive"] * 8, {}, "the labels are all 'positive'"),
        (LABELS[:7], {}, "8 texts and 7 labels"),
        ([*LABELS[:7], 1], {}, "some labels are strings"),
        ([*LABELS[:7], True], {}, "the label True is neither"),
        ([*LABELS[:7], None], {}, "the label None is neither"),
        ([*LABELS[:7], 0.5], {}, "the label 0.5 is neither"),
        (LABELS, {"classes": ["negative", "good"]}, "'positive' is no class"),
        (LABELS, {"classes": ["negative", "positive", "x"]}, "no text has the label 'x'"),
        (np.full((8, 2), np.nan), {"classes": [0, 1]}, "the soft labels gave NaN"),
        (np.full((8, 2), 0.5), {}, "soft labels need classes"),
        (np.full((8, 3), 1 / 3), {"classes": [0, 1]}, "3 columns for 2 classes"),
        (LABELS, {"regularisation": 0}, "above 0"),
        (LABELS, {"regularisation": float("nan")}, "above 0"),
        (LABELS, {"weights": [1]}, "1 weights for 8 texts"),
        (LABELS, {"weights": [-1] * 8}, "from 0 up"),
    ],
)
def test_what_nothing_can_be_learned_from(labels, options, message):
    with pytest.raises(ClassifierError, match=message) as caught:
        small(labels, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(ClassifierError, match="text 8 is empty"):
        train([*TEXTS, text], [*LABELS, "positive"], embedder=FAKE)


@pytest.mark.parametrize("labels", [LABELS, [0, 0, 1, 1, 2, 2, 2, 2]])
def test_saved_and_opened_it_is_the_same(labels, tmp_path):
    made = small(labels)
    made.save(tmp_path / "made")
    made.save(tmp_path / "made")  # over its own
    for opened in (open_small(tmp_path / "made"), classifier(str(tmp_path / "made"))):
        assert opened.classes == made.classes
        assert opened.fingerprint == made.fingerprint
        assert (opened.probabilities(TEXTS) == made.probabilities(TEXTS)).all()
    assert {file.name for file in (tmp_path / "made").iterdir()} == {
        "classifier.json",
        "model.safetensors",
    }


def test_the_fingerprint_changes_with_the_weights_and_the_classes():
    made = [
        small(),
        small(regularisation=2),
        small([int(one == "positive") for one in LABELS]),
    ]
    assert len({one.fingerprint for one in made}) == 3


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.txt, which would be lost"):
        small().save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def about(folder, **fields):
    path = folder / "classifier.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


def flip(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


SERVED = {"name": "served:m", "fingerprint": "0" * 12}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "another SHA-256"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
        (lambda f: (f / "classifier.json").unlink(), "it has no classifier.json"),
        (lambda f: (f / "classifier.json").write_text("[1"), "cannot be read"),
        (lambda f: (f / "classifier.json").write_text("[1]"), "not in the format"),
        (lambda f: about(f, format="other 2"), "not in the format"),
        (lambda f: about(f, classes=["a", "b", "c"]), "no weight for 3 classes"),
        (lambda f: about(f, classes="ab"), "lacks what llmaug writes"),
        (lambda f: about(f, classes=["a"]), "lacks what llmaug writes"),
        (lambda f: about(f, embedder="minilm"), "lacks what llmaug writes"),
        (
            lambda f: about(
                f, embedder=SERVED | {"parameters": {"base_url": "http://evil.net/v1"}}
            ),
            "if texts may be sent there",
        ),
        (
            lambda f: about(f, embedder=SERVED | {"parameters": {"shell": "rm"}}),
            "names no embedder that llmaug knows",
        ),
        (
            lambda f: about(f, embedder={"name": "fake", "fingerprint": "0", "parameters": {}}),
            "was trained with the embedder fake@0, and this is fake@",
        ),
    ],
)
def test_a_folder_that_does_not_hold_together_is_refused(damage, message, tmp_path):
    small().save(tmp_path / "made")
    damage(tmp_path / "made")
    with pytest.raises(ClassifierError, match=message) as caught:
        open_small(tmp_path / "made")
    assert "\n" not in str(caught.value)


def test_another_embedder_is_refused(tmp_path):
    small().save(tmp_path / "made")
    other = embedder("fake", document_prompt="passage: ")
    with pytest.raises(ClassifierError, match="give that one, or train again"):
        open_small(tmp_path / "made", embedder=other)


@pytest.mark.models
def test_minilm_learns_from_four_texts(tmp_path):
    from llmaug import models

    models.pull("minilm")
    texts = ["a wonderful film", "I loved every minute", "a dreadful bore", "I hated all of it"]
    made = train(texts, ["good", "good", "bad", "bad"], embedder=embedder("minilm", device="cpu"))
    made.save(tmp_path / "made")
    found = classifier(tmp_path / "made", device="cpu").probabilities(["great fun", "a waste"])
    assert found[0, 1] > found[1, 1]
