"""Significance: hand-worked numbers, laws, and simulations in which the truth is known."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from llmaug.significance import (
    bootstrap_interval,
    detectable_difference,
    effect_size,
    holm,
    paired_randomisation,
)

DIFFERENCES = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=40)
P_VALUES = st.lists(st.floats(1e-6, 1), max_size=12)


def test_three_wins_of_three_are_two_of_eight_sign_patterns() -> None:
    assert paired_randomisation([0.1, 0.2, 0.3]) == 2 / 8


def test_queries_without_a_difference_change_nothing() -> None:
    assert paired_randomisation([0.1, 0.2, 0.3, *[0.0] * 500]) == 2 / 8


def test_equal_sums_count_as_equal_in_spite_of_rounding() -> None:
    # The sum of 0.1 + 0.2 - 0.3 is 5.6e-17, not 0: without tolerance p would be less than 1.
    assert paired_randomisation([0.1, 0.2, -0.3]) == 1.0


def test_drawn_patterns_count_the_observed_one() -> None:
    assert paired_randomisation([0.01] * 60, resamples=999) == 1 / 1000


@pytest.mark.parametrize("size", [4, 9, 12])
def test_exact_p_equals_scipy(size: int) -> None:
    differences = np.random.default_rng(size).normal(0.1, 0.2, size)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=10_000
    )
    assert paired_randomisation(differences) == pytest.approx(expected.pvalue, abs=1e-12)


def test_drawn_p_is_near_the_exact_one() -> None:
    differences = np.random.default_rng(3).normal(0.08, 0.2, 16)
    exact = paired_randomisation(differences, resamples=2**16)
    assert paired_randomisation(differences, resamples=20_000) == pytest.approx(exact, abs=0.01)


@given(DIFFERENCES, st.randoms(use_true_random=False), st.sampled_from([50, 5000]))
@settings(max_examples=60, deadline=None)
@example([0.0], None, 50)
def test_laws_of_p(differences: list[float], shuffler: object, resamples: int) -> None:
    p = paired_randomisation(differences, resamples=resamples)
    assert 0 < p <= 1
    shuffled = list(differences)
    if shuffler is not None:
        shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert paired_randomisation(shuffled, resamples=resamples) == p
    assert paired_randomisation([-d for d in differences], resamples=resamples) == p
    assert paired_randomisation([d / 7 for d in differences], resamples=resamples) == p


@pytest.mark.parametrize("size", [8, 60])
def test_without_a_difference_p_is_roughly_uniform(size: int) -> None:
    generator = np.random.default_rng(11)
    found = [
        paired_randomisation(generator.normal(0, 0.2, size), resamples=499) for _ in range(600)
    ]
    for level in (0.05, 0.2, 0.5):
        few, many = stats.binom.interval(0.999, 600, level)
        # With 8 queries p comes in steps of 2/256, so that a level is reached a little less often.
        assert few - 2 * 600 / 2**size <= sum(p <= level for p in found) <= many


def test_blocks_of_patterns_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(5).normal(0.1, 0.2, 11)
    whole = paired_randomisation(differences)
    monkeypatch.setattr("llmaug.significance.BLOCK", 64)
    assert paired_randomisation(differences) == whole


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        low, high = bootstrap_interval(generator.normal(0.03, 0.2, 80), level=0.9, resamples=300)
        covered += low <= 0.03 <= high
    few, many = stats.binom.interval(0.9999, 300, 0.9)
    assert few <= covered <= many


def test_interval_ignores_the_order_and_holds_the_mean() -> None:
    differences = np.random.default_rng(4).normal(0.03, 0.2, 100)
    interval = bootstrap_interval(differences)
    assert interval == bootstrap_interval(differences[::-1])
    assert interval.low < differences.mean() < interval.high
    wider = bootstrap_interval(differences, level=0.99)
    assert wider.low < interval.low
    assert interval.high < wider.high


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_differences_all_the_same_give_an_interval_without_width(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap_interval([value] * 20) == (value, value)
        assert detectable_difference([value] * 20) == 0
        assert effect_size([value] * 20) == (math.inf if value else 0)


def test_holm_as_worked_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1 gives .02 .03 .06 .04; the last is raised to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
@example([])
def test_laws_of_correction(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert len(corrected) == len(p_values)
    assert all(p <= c * (1 + 1e-12) and c <= 1 for p, c in zip(p_values, corrected, strict=True))
    by_raw = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert by_raw == sorted(by_raw)


@pytest.mark.parametrize(
    ("queries", "spread", "points"), [(225, 0.15, 2.8), (300, 0.20, 3.2), (525, 0.25, 3.1)]
)
def test_detectable_difference_of_known_collections(
    queries: int, spread: float, points: float
) -> None:
    differences = np.random.default_rng(0).normal(size=queries)
    differences *= spread / differences.std(ddof=1)
    assert 100 * detectable_difference(differences) == pytest.approx(points, abs=0.05)


def test_a_detectable_difference_is_found_in_four_of_five() -> None:
    generator = np.random.default_rng(6)
    size = detectable_difference(generator.normal(0, 0.2, 100_000)) * math.sqrt(100_000 / 100)
    found = [
        paired_randomisation(generator.normal(size, 0.2, 100), resamples=499) <= 0.05
        for _ in range(300)
    ]
    few, many = stats.binom.interval(0.9999, 300, 0.8)
    assert few <= sum(found) <= many


def test_one_query_can_show_nothing() -> None:
    assert paired_randomisation([0.5]) == 1
    assert detectable_difference([0.5]) == math.inf


def test_effect_size_is_the_mean_in_standard_deviations() -> None:
    assert effect_size([1.0, 2.0, 3.0]) == pytest.approx(2.0)
    assert effect_size([-1.0, -2.0, -3.0]) == pytest.approx(-2.0)


@pytest.mark.parametrize("wrong", [[], [0.1, math.nan], [math.inf], [[0.1], [0.2]]])
@pytest.mark.parametrize(
    "statistic", [paired_randomisation, bootstrap_interval, detectable_difference, effect_size]
)
def test_differences_that_are_no_numbers_are_refused(statistic: object, wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="differences must be"):
        statistic(wrong)  # type: ignore[operator]
