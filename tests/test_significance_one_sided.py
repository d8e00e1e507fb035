"""One-sided tests, and several of them at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llmaug.significance import holm, max_t, paired_randomisation

NUMBERS = st.floats(-1, 1).map(lambda x: round(x, 3))


def test_three_wins_of_three_are_one_of_eight_sign_patterns() -> None:
    assert paired_randomisation([0.1, 0.2, 0.3], alternative="greater") == 1 / 8
    assert paired_randomisation([-0.1, -0.2, -0.3], alternative="greater") == 1.0


@pytest.mark.parametrize("size", [4, 9, 12])
@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_exact_one_sided_p_equals_scipy(size: int, shift: float) -> None:
    differences = np.random.default_rng(size).normal(shift, 0.2, size)
    expected = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=10_000,
        alternative="greater",
    )
    found = paired_randomisation(differences, alternative="greater")
    assert found == pytest.approx(expected.pvalue, abs=1e-12)


def test_a_side_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="alternative is one of"):
        paired_randomisation([0.1], alternative="less")


def test_max_t_of_one_test_is_the_one_sided_p() -> None:
    differences = np.random.default_rng(1).normal(0.05, 0.2, 40)
    alone = paired_randomisation(differences, alternative="greater")
    assert max_t(differences[:, None])[0] == pytest.approx(alone, abs=0.01)


def test_copies_of_a_test_cost_nothing_and_under_holm_they_do() -> None:
    differences = np.random.default_rng(1).normal(0.06, 0.2, 60)
    alone = max_t(differences[:, None])
    copies = max_t(np.repeat(differences[:, None], 4, axis=1))
    assert copies == pytest.approx(alone * 4)
    assert holm(alone * 4)[0] == pytest.approx(4 * alone[0])


def test_a_small_but_steady_gain_is_not_drowned_by_a_noisy_test() -> None:
    generator = np.random.default_rng(2)
    steady, noisy = generator.normal(0.01, 0.01, 50), generator.normal(0, 1, 50)
    assert max_t(np.stack([steady, noisy], axis=1))[0] < 0.001


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=30))
def test_laws_of_max_t(table: list[list[float]]) -> None:
    values = np.array(table)
    found = max_t(values, resamples=199)
    assert all(1 / 200 <= p <= 1 for p in found)
    # Of all tests at once no p is smaller than that of the test alone, with the same draws.
    alone = [max_t(values[:, [place]], resamples=199)[0] for place in range(3)]
    assert all(p >= single - 1e-12 for p, single in zip(found, alone, strict=True))
    assert max_t(values[:, ::-1], resamples=199) == found[::-1]
    assert max_t(7 * values, resamples=199) == found


@pytest.mark.parametrize("alike", [0.0, 0.95])
def test_false_findings_come_as_often_as_stated(alike: float) -> None:
    generator = np.random.default_rng(7)
    false = 0
    for _ in range(400):
        shared = generator.normal(size=(40, 1))
        own = generator.normal(size=(40, 4))
        values = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
        values *= [0.02, 0.05, 0.1, 0.3]
        false += min(max_t(values, resamples=199)) <= 0.05
    few, many = stats.binom.interval(0.9999, 400, 0.05)
    assert few <= false <= many


def test_false_findings_stay_rare_beside_a_true_one() -> None:
    generator = np.random.default_rng(8)
    false = 0
    for _ in range(400):
        values = generator.normal(size=(40, 4))
        values[:, 0] += 2
        p = max_t(values, resamples=199)
        assert p[0] <= 0.05
        false += min(p[1:]) <= 0.05
    few, many = stats.binom.interval(0.9999, 400, 0.05)
    assert few <= false <= many


def test_alike_tests_are_found_more_often_than_under_holm() -> None:
    generator = np.random.default_rng(9)
    found = {"max_t": 0, "holm": 0}
    for _ in range(200):
        values = 0.35 + generator.normal(size=(40, 1)) + 0.2 * generator.normal(size=(40, 4))
        raw = [max_t(column[:, None], resamples=199)[0] for column in values.T]
        found["max_t"] += min(max_t(values, resamples=199)) <= 0.05
        found["holm"] += min(holm(raw)) <= 0.05
    assert found["max_t"] > found["holm"] + 20


@pytest.mark.parametrize("wrong", [[], [0.1], [[]], [[0.1, float("nan")]]])
def test_what_is_no_table_is_refused(wrong: list[object]) -> None:
    with pytest.raises(ValueError, match="differences must be a table"):
        max_t(wrong)  # type: ignore[arg-type]


def test_tests_without_a_difference_show_nothing() -> None:
    assert max_t([[0.0, 0.1]] * 30, resamples=999) == [1.0, 1 / 1000]
