"""MoCHi: negatives that are mixed from the hardest ones."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import normalize

from llmaug.training.mixing import Draws, draws, mixtures

QUERIES = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
DOCUMENTS = torch.randn(9, 8, generator=torch.Generator().manual_seed(2))
COSINES = normalize(QUERIES, dim=1) @ normalize(DOCUMENTS, dim=1).T


def mixed(cosines=COSINES, documents=DOCUMENTS, *, among=4, drawn=None, rows=slice(None)):
    drawn = drawn or draws(3, mixed=5, mixed_query=4, seed=0)
    return mixtures(
        QUERIES[rows], documents, cosines=cosines[rows], drawn=drawn.rows(rows), among=among
    )


def test_mixtures_are_made_by_the_formulas_of_the_paper():
    # Row 0: places 0 and 1 of the two hardest, a quarter of the first.
    drawn = Draws(torch.tensor([[[0.0, 0.0, 0.25]]]), torch.tensor([[[0.9, 0.8]]]))
    cosines = torch.tensor([[0.1, 0.9, -torch.inf, 0.5]])
    first, second = normalize(DOCUMENTS[[1, 3]], dim=1)
    query = normalize(QUERIES[0], dim=0)
    made = mixtures(QUERIES[:1], DOCUMENTS[:4], cosines=cosines, drawn=drawn, among=2).vectors[0]
    torch.testing.assert_close(made[0], normalize(0.25 * first + 0.75 * second, dim=0))
    torch.testing.assert_close(made[1], normalize(0.4 * query + 0.6 * second, dim=0))


def test_mixtures_have_unit_length_and_no_gradient():
    queries, documents = QUERIES.clone().requires_grad_(), DOCUMENTS.clone().requires_grad_()
    made = mixtures(
        queries,
        documents,
        cosines=COSINES,
        drawn=draws(3, mixed=5, mixed_query=4, seed=0),
        among=4,
    )
    assert made.vectors.shape == (3, 9, 8)
    assert not made.vectors.requires_grad
    torch.testing.assert_close(made.vectors.norm(dim=-1), torch.ones(3, 9))
    assert made.exist.all()


def test_only_the_hardest_that_are_negatives_are_mixed():
    """With all but two documents masked, every type 1 mixture lies in the plane of those two."""
    cosines = COSINES.clone()
    cosines[:, 2:] = -torch.inf
    plane = torch.linalg.qr(DOCUMENTS[:2].T).Q
    vectors = mixed(cosines).vectors[:, :5]
    torch.testing.assert_close(vectors @ plane @ plane.T, vectors)
    assert torch.equal(mixed(COSINES, among=2).vectors, mixed(_only_hardest(2)).vectors)


def _only_hardest(count):
    kept = COSINES.topk(count, dim=1)
    return torch.full_like(COSINES, -torch.inf).scatter(1, kept.indices, kept.values)


@pytest.mark.parametrize(("left", "exist"), [(0, (0, 0)), (1, (0, 4)), (2, (5, 4))])
def test_a_query_with_too_few_negatives_has_no_mixtures(left, exist):
    cosines = COSINES.clone()
    cosines[1, left:] = -torch.inf
    made = mixed(cosines)
    assert (int(made.exist[1, :5].sum()), int(made.exist[1, 5:].sum())) == exist
    assert made.exist[[0, 2]].all()
    assert made.vectors.isfinite().all()


def test_mixtures_do_not_depend_on_how_the_batch_is_cut():
    whole = mixed().vectors
    pieces = [mixed(rows=slice(row, row + 1)).vectors for row in range(3)]
    torch.testing.assert_close(torch.cat(pieces), whole)


def test_documents_of_each_query_are_mixed_like_shared_ones():
    own = DOCUMENTS.expand(3, -1, -1)
    assert torch.equal(mixed(documents=own).vectors, mixed().vectors)


def test_draws_are_those_of_their_seed_and_leave_the_random_state_alone():
    before = torch.get_rng_state()
    one, again, other = (draws(3, mixed=2, mixed_query=1, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(one.pairs, again.pairs)
    assert torch.equal(one.queries, again.queries)
    assert not torch.equal(one.pairs, other.pairs)
    assert torch.equal(torch.get_rng_state(), before)
