"""How well real and synthetic queries are told apart."""

from __future__ import annotations

import random

import numpy as np
import pytest

import llmaug as la
from llmaug.errors import RetrievalError
from llmaug.training.divergence import divergence

pytest.importorskip("sklearn", reason="needs the extra train")

WORDS = [f"word{n}" for n in range(40)]


class Drawn:
    """Vectors from one of two normal distributions: the text says which, and its number."""

    name, batch, fingerprint = "drawn", 64, "0123456789ab"

    def __init__(self, apart):
        self.apart = apart

    def encode(self, texts, *, side=""):
        assert side == "query"
        rows = []
        for text in texts:
            kind, number = text.split()
            row = np.random.default_rng([kind == "real", int(number)]).normal(size=4)
            row[0] += self.apart * (kind == "real")
            rows.append(row)
        return np.array(rows, dtype=np.float32)


def queries(seed, count=80, more=()):
    generator = random.Random(seed)
    return [" ".join([*more, *generator.sample(WORDS, 5)]) for _ in range(count)]


def numbered(kind, count):
    return [f"{kind} {number}" for number in range(count)]


def test_queries_of_one_kind_are_not_told_apart():
    found = divergence(queries(1), queries(2), la.embedder("fake"))
    assert found.interval.low <= 0.5 <= found.interval.high
    assert found.lower_bound_tv < 0.1
    assert (found.real, found.synthetic) == (80, 80)


def test_a_turn_of_phrase_is_told_at_once():
    found = divergence(queries(1), queries(2, more=["what", "is"]), la.embedder("fake"))
    assert found.auc > 0.99
    assert found.lower_bound_tv > 0.8
    assert "AUC 1.0" in str(found) or "AUC 0.99" in str(found)


@pytest.mark.parametrize("apart", [1.0, 2.0])
def test_the_auc_is_that_of_two_normal_distributions(apart):
    from statistics import NormalDist

    found = divergence(numbered("real", 400), numbered("made", 300), Drawn(apart))
    true = NormalDist().cdf(apart / 2**0.5)
    assert found.interval.low < true < found.interval.high
    assert found.interval.high - found.interval.low < 0.1
    # The total variation of two normal distributions, which the bound must not exceed.
    assert found.lower_bound_tv < 2 * NormalDist().cdf(apart / 2) - 1


def test_the_interval_covers_a_half_where_there_is_no_difference():
    covered = 0
    for number in range(20):
        texts = [f"real {1000 * number + n}" for n in range(60)]
        low, high = divergence(texts[:30], texts[30:], Drawn(0), seed=number).interval
        covered += low <= 0.5 <= high
    assert covered >= 16


def test_the_seed_decides_the_folds_and_the_order_changes_nothing():
    real, made = queries(1), queries(2)
    embedder = la.embedder("fake")
    found = divergence(real, made, embedder)
    assert divergence(real[::-1], made[::-1], embedder) == found
    assert divergence(real, made, embedder, seed=1) != found


def test_copies_of_a_query_count_once():
    real, made = queries(1), queries(2)
    embedder = la.embedder("fake")
    again = [*made, *(f" {text} " for text in made)]
    assert divergence(real, again, embedder) == divergence(real, made, embedder)


@pytest.mark.parametrize(("real", "made", "kind"), [(19, 30, "real"), (30, 19, "synthetic")])
def test_few_queries_say_nothing(real, made, kind):
    with pytest.raises(RetrievalError, match=f"19 different {kind} queries"):
        divergence(queries(1, real), queries(2, made), la.embedder("fake"))


def test_of_very_many_queries_some_are_drawn():
    found = divergence(numbered("real", 2500), numbered("made", 40), Drawn(1.0))
    assert (found.real, found.synthetic) == (2000, 40)
