"""From the probabilities of a text and of its rewrites to one answer, by hand and by law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.classify.aggregation import KINDS, Weights, aggregated, tilt
from llmaug.classify.learned_weights import learn
from llmaug.classify.votes import Votes
from llmaug.errors import PlanError

ORIGINAL = [0.6, 0.4]
VARIANTS = [[0.2, 0.8], [0.3, 0.7]]


def votes_of(original, variants, *, sources=None, likeness=None):
    """One text; a variant that is None is missing."""
    found = Votes.of(np.array([original], dtype=float))
    for at, one in enumerate(variants):
        found.add(
            0,
            np.array(one, dtype=float),
            source=sources[at] if sources else 0,
            likeness=likeness[at] if likeness else float("nan"),
            number=at + 1,
        )
    return found


def drawn(texts, variants, classes, *, seed, missing=0.3):
    draw = np.random.default_rng(seed)
    votes = Votes.of(draw.dirichlet(np.ones(classes), texts))
    for row in range(texts):
        for number in range(1, variants + 1):
            if draw.random() > missing:
                chance = draw.dirichlet(np.ones(classes))
                source, likeness = int(draw.integers(3)), float(draw.random())
                votes.add(row, chance, source=source, likeness=likeness, number=number)
    return votes


WEIGHTS = Weights(1.5, (0.5, 2.0, 1.0), faithful=0.7)


def certainty(p):
    return 1 + (p * np.log2(p) + (1 - p) * np.log2(1 - p))


def test_mean_by_hand():
    assert aggregated(votes_of(ORIGINAL, VARIANTS), "mean")[0] == pytest.approx([1.1 / 3, 1.9 / 3])


def test_logits_by_hand():
    products = np.array([0.6 * 0.2 * 0.3, 0.4 * 0.8 * 0.7]) ** (1 / 3)
    expected = products / products.sum()
    assert aggregated(votes_of(ORIGINAL, VARIANTS), "logits")[0] == pytest.approx(expected)


def test_vote_by_hand():
    found = aggregated(votes_of(ORIGINAL, VARIANTS), "vote")[0]
    assert found == pytest.approx([1 / 3, 2 / 3], abs=1e-5)


@pytest.mark.parametrize(("variant", "winner"), [([0.1, 0.9], 1), ([0.45, 0.55], 0)])
def test_a_tie_of_votes_goes_by_the_mean(variant, winner):
    found = aggregated(votes_of(ORIGINAL, [variant]), "vote")[0]
    assert found.argmax() == winner
    assert found == pytest.approx([0.5, 0.5], abs=1e-5)


def test_entropy_by_hand():
    weights = np.array([certainty(0.6), certainty(0.2), certainty(0.3)])
    expected = weights @ np.array([ORIGINAL, *VARIANTS]) / weights.sum()
    assert aggregated(votes_of(ORIGINAL, VARIANTS), "entropy")[0] == pytest.approx(expected)
    unsure = votes_of([0.5, 0.5], [[0.5, 0.5]])
    assert aggregated(unsure, "entropy")[0] == pytest.approx([0.5, 0.5])


def test_learned_by_hand():
    votes = votes_of(ORIGINAL, VARIANTS, sources=[0, 1], likeness=[0.9, 0.2])
    weights = Weights(2.0, (1.0, 3.0), faithful=1.0)
    each = np.array([2.0, np.exp(0.5), 3 * np.exp(-0.5)])
    expected = each @ np.array([ORIGINAL, *VARIANTS]) / each.sum()
    assert aggregated(votes, "learned", weights)[0] == pytest.approx(expected)


def test_a_sure_text_does_not_end_the_logits():
    found = aggregated(votes_of([1.0, 0.0], [[0.0, 1.0], [0.0, 1.0]]), "logits")[0]
    assert np.isfinite(found).all()
    assert found.argmax() == 1


def test_tilt_ranks_the_known():
    nan = float("nan")
    votes = votes_of(ORIGINAL, [ORIGINAL] * 4, likeness=[0.1, nan, 0.9, 0.5])
    assert tilt(votes)[0].tolist() == [-0.5, 0.0, 0.5, 0.0]
    assert tilt(votes_of(ORIGINAL, [ORIGINAL], likeness=[0.4]))[0].tolist() == [0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_without_rewrites_it_is_the_row_of_the_classifier(kind):
    original = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    alone = Votes.of(original)
    assert np.array_equal(aggregated(alone, kind, WEIGHTS), original)
    alone.add(7, original[0], source=0, likeness=0.5, number=1)
    others = np.arange(50) != 7
    assert np.array_equal(aggregated(alone, kind, WEIGHTS)[others], original[others])


@given(
    st.sampled_from(KINDS),
    st.integers(1, 6),
    st.integers(0, 5),
    st.integers(2, 5),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_laws(kind, texts, variants, classes, seed):
    votes = drawn(texts, variants, classes, seed=seed)
    found = aggregated(votes, kind, WEIGHTS)
    assert found.shape == (texts, classes)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()

    for row in range(texts):  # each text by itself, so that no padding of others counts
        alone = aggregated(votes.of_rows(np.array([row])), kind, WEIGHTS)
        assert np.allclose(alone, found[row])

    order = np.random.default_rng(seed).permutation(votes.variants.shape[1])
    turned = Votes(
        votes.original,
        *(one[:, order] for one in (votes.variants, votes.source, votes.likeness, votes.number)),
    )
    assert np.allclose(aggregated(turned, kind, WEIGHTS), found)
    everything = votes.until(np.full(texts, variants))
    assert np.array_equal(aggregated(everything, kind, WEIGHTS), found)


@given(st.integers(1, 6), st.integers(0, 5), st.integers(2, 5), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_equal_weights_are_the_mean(texts, variants, classes, seed):
    votes = drawn(texts, variants, classes, seed=seed)
    for logits, kind in ((False, "mean"), (True, "logits")):
        found = aggregated(votes, "learned", Weights(2.0, (2.0, 2.0, 2.0), logits=logits))
        assert np.allclose(found, aggregated(votes, kind))


def test_until_hides_what_came_later():
    votes = votes_of(ORIGINAL, VARIANTS)
    assert votes.until(np.array([1])).seen().tolist() == [[True, False]]
    assert aggregated(votes.until(np.array([0])), "mean").tolist() == [ORIGINAL]


def test_learn_finds_the_source_that_misleads():
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 200)
    votes = Votes.of(_noisy(truth, 0.3, draw))
    for row, (good, bad) in enumerate(zip(_noisy(truth, 1.5, draw), draw.random(200), strict=True)):
        votes.add(row, good, source=0, likeness=0.5, number=1)
        votes.add(row, np.array([bad, 1 - bad]), source=1, likeness=0.5, number=2)
    weights = learn(votes, truth, sources=2)
    assert weights.sources[0] > 2 * weights.sources[1]

    def right(found):
        return (found.argmax(axis=1) == truth).mean()

    assert right(aggregated(votes, "learned", weights)) > right(aggregated(votes, "mean"))


def test_learn_stays_near_the_mean_without_a_signal():
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 2, 200)
    votes = Votes.of(_noisy(truth, 1.0, draw))
    for row, one in enumerate(_noisy(truth, 1.0, draw)):
        votes.add(row, one, source=0, likeness=float(draw.random()), number=1)
    weights = learn(votes, truth, sources=1)
    assert 0.6 < weights.sources[0] / weights.original < 1.7
    assert weights.faithful == pytest.approx(0, abs=1e-6)  # a single rewrite has no rank


def _noisy(truth, strength, draw):
    """Probabilities that lean towards the truth so much."""
    margins = np.where(truth == 1, strength, -strength) + draw.normal(0, 1, len(truth))
    of_one = 1 / (1 + np.exp(-margins))
    return np.column_stack([1 - of_one, of_one])


@pytest.mark.parametrize(("kind", "said"), [("logit", "did you mean logits"), ("avg", "known: ")])
def test_an_unknown_kind(kind, said):
    from llmaug.classify.aggregation import check_kind

    with pytest.raises(PlanError, match=said):
        check_kind(kind)
