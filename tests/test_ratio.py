"""The ratio of synthetic to human pairs, and when there are enough synthetic ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaug.errors import PlanError, RetrievalError
from llmaug.training.ratio import choose_ratio, saturated


def values(numbers):
    return {f"q{n:03}": float(number) for n, number in enumerate(numbers)}


def sweep(shifts, *, spread=0.05, queries=100):
    """Ratios whose means are this much above that of ratio 0; queries differ much more."""
    generator = np.random.default_rng(0)
    base = generator.uniform(0, 1, queries)
    results = {}
    for ratio, shift in shifts.items():
        noise = generator.normal(0, spread, queries)
        results[ratio] = values(base + shift + noise - noise.mean())
    return results


def test_the_errors_as_worked_by_hand():
    # Differences -0.1, -0.3 to the best: mean -0.2, SD 0.1414, over the root of 2: 0.1.
    choice = choose_ratio({0.0: {"a": 0.1, "b": 0.5}, 1.0: {"a": 0.2, "b": 0.8}})
    low, best = choice.rows
    assert (low.difference, low.error) == (pytest.approx(-0.2), pytest.approx(0.1))
    assert (best.difference, best.error) == (0, 0)
    assert best.error_of_mean == pytest.approx(0.3)
    assert (choice.ratio, choice.best, choice.queries) == (1.0, 1.0, 2)


def test_the_smallest_ratio_within_one_error_of_the_best_is_chosen():
    choice = choose_ratio(sweep({0.0: 0.0, 0.5: 0.03, 1.0: 0.058, 2.0: 0.06, 4.0: 0.059}))
    assert (choice.ratio, choice.best) == (1.0, 2.0)
    assert str(choice).splitlines()[3].endswith("<- chosen")
    assert "100 dev queries" in str(choice)


def test_the_error_of_the_mean_and_the_best_mean_are_other_rules():
    results = sweep({0.0: 0.0, 0.5: 0.02, 1.0: 0.021})
    chosen = {rule: choose_ratio(results, rule=rule).ratio for rule in ("one_se", "best")}
    assert chosen == {"one_se": 0.5, "best": 1.0}
    # Queries differ so much that their mean has an error of 0.03.
    assert choose_ratio(results, rule="one_se_of_mean").ratio == 0.0


def test_without_any_gain_no_synthetic_pair_is_used():
    assert choose_ratio(sweep({0.0: 0.0, 1.0: -0.02, 4.0: -0.05})).ratio == 0
    same = values([0.1, 0.9])
    assert choose_ratio({4.0: same, 0.5: same, 0.0: same}).ratio == 0


def test_seeds_are_averaged_and_their_spread_counts():
    one, other = sweep({0.0: 0.0, 1.0: 0.03}), sweep({0.0: 0.0, 1.0: 0.03}, spread=0.01)
    steady = choose_ratio({ratio: [one[ratio], other[ratio]] for ratio in one})
    assert steady.rows[0].seeds == 2
    assert steady.ratio == 1.0
    lucky = {query: value + 0.2 for query, value in other[1.0].items()}
    unlucky = {query: value - 0.2 for query, value in one[1.0].items()}
    shaky = choose_ratio({0.0: [one[0.0], other[0.0]], 1.0: [unlucky, lucky]})
    assert shaky.rows[0].difference == pytest.approx(steady.rows[0].difference)
    assert shaky.rows[0].error > 0.15
    assert shaky.ratio == 0


def test_the_order_of_ratios_and_queries_changes_nothing():
    results = sweep({0.0: 0.0, 0.5: 0.01, 1.0: 0.02})
    turned = {ratio: dict(reversed(of.items())) for ratio, of in reversed(list(results.items()))}
    assert choose_ratio(turned) == choose_ratio(results)


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(PlanError, match="did you mean one_se"):
        choose_ratio({0.0: values([1])}, rule="onese")


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ({}, "no ratio was tried"),
        ({0.0: {}}, "no dev values for 0"),
        ({0.5: []}, "no dev values for 0.5"),
        ({0.0: {"a": 1.0}, 2.0: {"b": 1.0}}, "for 2 are of other queries"),
        ({0.0: [{"a": 1.0}, {"b": 1.0}]}, "for 0 are of other queries"),
        ({0.0: {"a": math.nan}}, "NaN or infinite"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(results, said):
    with pytest.raises(RetrievalError, match=said):
        choose_ratio(results)


@pytest.mark.parametrize(("gain", "reached"), [(0.05, False), (0.0, True), (-0.05, True)])
def test_the_last_doubling_says_whether_there_are_enough(gain, reached):
    results = sweep({500: -0.2, 1000: 0.0, 1500: 0.0, 2000: gain})
    found = saturated({int(count): of for count, of in results.items()})
    assert found is not None
    assert (found.reached, found.fewer, found.more) == (reached, 1000, 2000)
    assert found.gain == pytest.approx(gain)
    assert 0 < found.error < 0.02


@pytest.mark.parametrize("counts", [[], [1000], [1000, 1500], [0, 1000]])
def test_without_a_doubling_nothing_is_said(counts):
    assert saturated({count: values([0.5, 0.6]) for count in counts}) is None
