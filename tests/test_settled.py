"""When a decision is settled: the chance of another one, against simulations of the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.classify import openness
from llmaug.classify.aggregation import Weights
from llmaug.classify.policy import Policy, play
from llmaug.classify.settled import (
    LEAST,
    Spread,
    expected_calls,
    flip_chance,
    spread_between_texts,
    spread_of,
)
from llmaug.classify.votes import Votes

SPREAD = Spread(within=0.3, between=0.2)


def two(margins):
    """The probabilities of two classes with these margins of the first."""
    margins = np.asarray(margins, dtype=float)
    return np.stack([(1 + margins) / 2, (1 - margins) / 2], axis=-1)


def chance_of(margin, drawn, left, *, spread=SPREAD):
    """Of another decision on one text, after rewrites with the margins `drawn`."""
    total = two(drawn).sum(axis=0)[None] if drawn else np.zeros((1, 2))
    return float(
        flip_chance(two([margin]), total, np.array([len(drawn)]), np.array([left]), spread=spread)[
            0
        ]
    )


@pytest.mark.parametrize(
    ("margin", "drawn", "left"),
    [(0.2, [], 1), (0.2, [], 4), (0.5, [0.1], 3), (0.1, [-0.2, 0.4], 2), (-0.3, [0.1, 0.0], 6)],
)
def test_it_is_that_of_the_model(margin, drawn, left):
    draw = np.random.default_rng(0)
    worlds = 400_000
    # The mean of the rewrites, as it is known after those drawn: weighted by their likelihood.
    mean = margin + SPREAD.between * draw.standard_normal(worlds)
    weight = np.ones(worlds)
    for one in drawn:
        weight *= np.exp(-((one - mean) ** 2) / (2 * SPREAD.within**2))
    to_come = left * mean + SPREAD.within * left**0.5 * draw.standard_normal(worlds)
    before = margin + sum(drawn)
    flipped = np.sign(before + to_come) != np.sign(before)
    simulated = float((weight * flipped).sum() / weight.sum())
    assert chance_of(margin, drawn, left) == pytest.approx(simulated, abs=0.01)


@given(st.floats(0, 1), st.lists(st.floats(-1, 1), max_size=4))
def test_nothing_left_settles_all(margin, drawn):
    assert chance_of(margin, drawn, 0) == 0.0


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 8))
def test_the_larger_the_margin_the_more_settled(one, other, left):
    small, large = sorted((one, other))
    assert chance_of(small, [], left) >= chance_of(large, [], left)
    assert chance_of(small, [0.2], left) >= chance_of(large, [0.2], left)


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 4), st.integers(0, 10**6))
@settings(deadline=None)
def test_chances_are_chances_for_any_number_of_classes(texts, classes, counts, seed):
    draw = np.random.default_rng(seed)
    original = draw.dirichlet(np.ones(classes), texts)
    total = draw.dirichlet(np.ones(classes), (texts, counts)).sum(axis=1)
    left = draw.integers(0, 5, texts)
    found = flip_chance(original, total, np.full(texts, counts), left, spread=SPREAD)
    assert found.shape == (texts,)
    assert ((found >= 0) & (found <= 1)).all()
    # In another order of the classes it is the same.
    order = draw.permutation(classes)
    again = flip_chance(
        original[:, order], total[:, order], np.full(texts, counts), left, spread=SPREAD
    )
    assert np.allclose(found, again)


def test_the_likeliest_other_class_counts():
    three = np.array([[0.5, 0.4, 0.1], [0.5, 0.25, 0.25]])
    none, left = np.zeros(2), np.full(2, 3)
    close, far = flip_chance(three, np.zeros((2, 3)), none, left, spread=SPREAD)
    assert close > far
    assert close == pytest.approx(chance_of(0.1, [], 3), abs=1e-9)


def test_a_decision_against_the_sum_is_open():
    against = np.array([1])
    none, left = np.zeros(1), np.ones(1)
    found = flip_chance(two([0.4]), np.zeros((1, 2)), none, left, spread=SPREAD, decision=against)
    assert found[0] > 0.5


def test_spread_of_finds_the_parameters():
    draw = np.random.default_rng(0)
    texts, rewrites = 20_000, 4
    margin = draw.uniform(0.2, 0.5, texts)
    mean = margin + 0.1 * draw.standard_normal(texts)
    drawn = mean[:, None] + 0.15 * draw.standard_normal((texts, rewrites))
    variants = two(drawn)
    variants[draw.random((texts, rewrites)) < 0.2] = np.nan
    found = spread_of(two(margin), variants)
    assert found == pytest.approx((0.15, 0.1), abs=0.005)


def test_spread_needs_two_rewrites_and_is_never_none():
    with pytest.raises(ValueError, match="no text has two rewrites"):
        spread_of(two([0.1]), two([[0.1]]))
    assert spread_of(two([0.1]), two([[0.1, 0.1]])) == (LEAST, LEAST)
    assert spread_between_texts(two([0.1, 0.1])) == (LEAST, LEAST)


def model_votes(margins, size, *, seed):
    """Rewrites as the model draws them."""
    draw = np.random.default_rng(seed)
    mean = margins + SPREAD.between * draw.standard_normal(len(margins))
    drawn = mean[:, None] + SPREAD.within * draw.standard_normal((len(margins), size))
    n = len(margins)
    number = np.tile(np.arange(1, size + 1), (n, 1))
    blank = np.full((n, size), np.nan)
    return Votes(two(margins), two(drawn), np.zeros((n, size), int), blank, number)


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.1, 0.3])
def test_expected_calls_are_those_of_playing(chance):
    margins = np.random.default_rng(1).uniform(0, 0.9, 3_000)
    votes = model_votes(margins, 5, seed=2)
    policy = Policy(5, SPREAD, threshold=chance, stop=chance)
    played = play(policy, votes, np.ones(3_000, dtype=bool))
    found = expected_calls(votes.original, size=5, chance=chance, spread=SPREAD, seed=0)
    assert found.shape == (3_000,)
    assert found.mean() == pytest.approx(played.asked.mean(), rel=0.03)
    assert ((found >= 1) & (found <= 5)).all()


def test_stopping_early_seldom_changes_a_decision():
    votes = model_votes(np.random.default_rng(3).uniform(0, 0.9, 2_000), 6, seed=4)
    opened = np.ones(2_000, dtype=bool)
    early = play(Policy(6, SPREAD, stop=0.01), votes, opened)
    whole = play(Policy(6, SPREAD, adaptive=False), votes, opened)
    assert early.asked.mean() < 0.7 * whole.asked.mean()
    assert (early.answers.argmax(axis=1) != whole.answers.argmax(axis=1)).mean() <= 0.02


@pytest.mark.parametrize("aggregation", ["mean", "logits", "vote", "entropy", "learned"])
def test_live_and_replayed_are_the_same(aggregation):
    votes = model_votes(np.random.default_rng(5).uniform(0, 0.6, 300), 4, seed=6)
    votes.variants = np.clip(votes.variants, 0.01, 0.99)
    votes.variants[np.random.default_rng(7).random((300, 4)) < 0.2] = np.nan
    policy = Policy(4, SPREAD, stop=0.05, aggregation=aggregation, weights=Weights(1, (0.5,)))
    opened = np.random.default_rng(8).random(300) < 0.8
    live, rounds = Votes.of(votes.original), []

    def more(rows, number):
        rounds.append(number)
        for row in rows:
            if votes.seen()[row, number - 1]:
                chance = votes.variants[row, number - 1]
                live.add(row, chance, source=0, likeness=float("nan"), number=number)
        return rows[:0]

    one, other = play(policy, live, opened, more), play(policy, votes, opened)
    assert np.array_equal(one.asked, other.asked)
    assert np.allclose(one.answers, other.answers)
    assert rounds == list(range(1, one.asked.max() + 1))
    assert (one.asked[~opened] == 0).all()


def test_no_more_is_asked_for_what_failed():
    policy = Policy(4, SPREAD, stop=0.0)
    votes = Votes.of(two([0.1, 0.2, 0.3]))
    asked = []

    def more(rows, number):
        asked.append(rows.tolist())
        return rows[rows == number]

    found = play(policy, votes, np.ones(3, dtype=bool), more)
    assert asked == [[0, 1, 2], [0, 2], [0], [0]]
    assert found.asked.tolist() == [4, 1, 2]


def test_a_gate_is_a_function_of_the_probabilities():
    chances = np.array([[0.5, 0.5], [0.9, 0.1]])
    known = {"spread": Spread(0.3, 0.2), "size": 4}
    for gate in set(openness.KINDS) - {"learned"}:
        open_one, settled = openness.openness(gate, chances, ["a", "b"], **known)
        assert open_one > settled
    margin = openness.openness("margin", chances, ["a", "b"], **known)
    assert margin == pytest.approx([1.0, 0.2])
