"""Projection heads: the identity at the start, and thrown away at the end."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from llmaug.training.heads import projection_head
from llmaug.training.settings import HEADS

EMBEDDINGS = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [name for name in HEADS if name != "reweight"])
def test_a_head_starts_as_the_identity(name):
    assert torch.equal(projection_head(name, 6)(EMBEDDINGS), EMBEDDINGS)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_head_can_leave_the_identity(name):
    head = projection_head(name, 6)
    head(EMBEDDINGS).pow(2).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in head.parameters())


def test_reweighting_falls_with_the_dimension_and_is_not_trained():
    head = projection_head("reweight", 3, decay=2.0)
    assert head(torch.ones(1, 3)).tolist() == [[1.0, 0.5, 0.25]]
    assert not list(head.parameters())
    assert "weights" in head.state_dict()


@pytest.mark.parametrize("name", HEADS)
def test_making_a_head_draws_no_random_number(name):
    before = torch.get_rng_state()
    projection_head(name, 6)
    assert torch.equal(torch.get_rng_state(), before)
