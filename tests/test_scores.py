"""The scores of a classifier, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.classify import scores
from llmaug.classify.evaluation import evaluated
from llmaug.classify.reliability_plot import plot
from llmaug.errors import OutputError
from llmaug.significance import mcnemar

RNG = np.random.default_rng(0)


def drawn(texts, classes, *, of=None, seed=0):
    chance = np.random.default_rng(seed)
    return chance.dirichlet(np.ones(classes), texts), chance.integers(0, of or classes, texts)


@pytest.mark.parametrize(
    ("texts", "classes", "of"), [(200, 3, 3), (40, 6, 2), (5, 4, 9), (1, 2, 2)]
)
def test_they_equal_those_of_scikit_learn(texts, classes, of):
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    chances, truth = drawn(texts, classes, of=of)
    said = chances.argmax(axis=1)
    assert scores.accuracy(chances, truth) == pytest.approx(metrics.accuracy_score(truth, said))
    theirs = metrics.f1_score(truth, said, average="macro")
    assert scores.macro_f1(chances, truth) == pytest.approx(theirs)
    found = scores.class_scores(chances, truth)
    columns = metrics.precision_recall_fscore_support(truth, said, zero_division=0)
    assert np.allclose([one[1:5] for one in found], np.transpose(columns))
    if of <= classes:
        loss = metrics.log_loss(truth, chances, labels=range(classes))
        assert scores.nll(chances, truth) == pytest.approx(loss)


def test_calibration_by_hand():
    chances = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]]
    truth = [0, 1, 1, 1]
    bins = scores.reliability(chances, truth)
    assert [(one.texts, round(one.confidence, 6), one.accuracy) for one in bins] == [
        (1, 0.6, 1.0),
        (2, 0.9, 0.5),
        (1, 1.0, 1.0),
    ]
    assert scores.calibration_error(chances, truth) == pytest.approx((2 * 0.4 + 0.4) / 4)
    assert scores.brier(chances, truth) == pytest.approx((0.02 + 1.62 + 0.32 + 0) / 4)


def test_a_sure_mistake_has_a_finite_loss():
    assert scores.nll([[1.0, 0.0]], [1]) == pytest.approx(-np.log(1e-15))


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 99))
def test_the_bins_hold_every_text_once(texts, classes, seed):
    chances, truth = drawn(texts, classes, seed=seed)
    bins = scores.reliability(chances, truth)
    assert sum(one.texts for one in bins) == texts
    assert all(one.low < one.confidence <= one.high + 1e-12 for one in bins)
    assert 0 <= scores.calibration_error(chances, truth) <= 1


@pytest.mark.parametrize("truth", [[0], [0, -1], [0.0, 1.0], [[0, 1]]])
def test_a_truth_that_does_not_fit_is_refused(truth):
    with pytest.raises(ValueError, match=r"truth|true class"):
        scores.accuracy([[0.5, 0.5], [0.1, 0.9]], truth)


def test_labels_of_a_table_are_the_same_classes():
    assert scores.placed(["1", 0, "0", "x", "y", "x"], (0, 1))[:3] == [1, 0, 0]
    x, y, again = scores.placed(["1", 0, "0", "x", "y", "x"], (0, 1))[3:]
    assert x == again != y
    assert min(x, y) >= 2


def test_unknown_labels_count_as_wrong_and_are_counted():
    found = evaluated(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), ["a", "b", "c"], classes="ab")
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.unknown == {"c": 1}
    assert found.nll == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert found.by_class["c"].f1 == 0
    assert found.by_class["b"].f1 == 1
    nothing = evaluated(np.array([[0.9, 0.1]]), ["z"], classes=["a", "b"])
    assert nothing.nll is None
    assert nothing.brier is None
    assert nothing.accuracy == 0


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 6, 2 / 64)],
)
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second, expected):
    pytest.importorskip("scipy", reason="needs scipy")
    first = [True] * (only_first + 3) + [False] * (only_second + 2)
    second = [False] * only_first + [True] * (3 + only_second) + [False] * 2
    assert mcnemar(first, second) == pytest.approx(expected)


def test_mcnemar_needs_the_same_texts():
    with pytest.raises(ValueError, match="same texts"):
        mcnemar([True], [True, False])


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_a_reliability_diagram(tmp_path, ending):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    bins = scores.reliability(*drawn(50, 3))
    plot(tmp_path / f"sure{ending}", {"plain $x": bins, "augmented": bins})
    assert (tmp_path / f"sure{ending}").stat().st_size > 1000


def test_a_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"did you mean \.png"):
        plot(tmp_path / "sure.pngg", {})
