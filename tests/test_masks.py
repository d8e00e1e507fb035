"""Documents that are kept from being negatives."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as some

from llmaug.training.masks import (
    is_one_of,
    nearer_than_positive,
    second_copies,
    trusted_by_teacher,
)

NUMBERS = some.lists(some.integers(0, 5), min_size=1, max_size=12)


@given(NUMBERS)
def test_what_is_no_second_copy_names_every_number_once(numbers):
    copies = second_copies(torch.tensor(numbers)).tolist()
    firsts = [number for number, copy in zip(numbers, copies, strict=True) if not copy]
    assert firsts == list(dict.fromkeys(numbers))


def test_rows_have_their_own_copies():
    copies = second_copies(torch.tensor([[1, 2, 1], [2, 2, 2]]))
    assert copies.tolist() == [[False, False, True], [False, True, True]]


@given(NUMBERS, NUMBERS)
def test_the_unwanted_are_found_wherever_they_stand(documents, unwanted):
    found = is_one_of(torch.tensor(documents), torch.tensor([unwanted, [-1] * len(unwanted)]))
    assert found.tolist() == [[one in unwanted for one in documents], [False] * len(documents)]


@pytest.mark.parametrize(
    ("teacher", "trusted"),
    [
        ([1.0, 0.7, 0.6, 0.5], [False, True, False, False]),  # a share of the positive's
        ([0.0, 0.1, 0.0, 0.9], [False, False, False, False]),  # no share of nothing
        ([1.0, math.nan, 0.9, 0.2], [False, False, True, False]),
        ([math.nan, 0.9, 0.9, 0.9], [False, False, False, False]),
    ],
)
def test_the_teacher_trusts_what_is_near_the_positive(teacher, trusted):
    assert trusted_by_teacher(torch.tensor([teacher]), ratio=0.6).tolist() == [trusted]


def test_what_the_model_finds_nearer_than_the_positive():
    cosines = torch.tensor([[0.5, 0.7, 0.59], [0.9, 0.7, 0.99]])
    nearer = nearer_than_positive(cosines, torch.tensor([0.5, 0.9]), margin=0.1)
    assert nearer.tolist() == [[False, True, False], [False, False, False]]
