"""`edit`: what each kind changes, and what a copy depends on."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import PlanError
from llmaug.steps.edit import KINDS, NEIGHBOURS, Edit
from llmaug.testing_step import StepContext
from llmaug.text import Text

SENTENCE = "The battery  lasts two days,\nand charges in under an hour."

anything = st.text(max_size=60)
kinds = st.sampled_from(sorted(KINDS))
rates = st.floats(0.01, 1)


def edited(text: str, step: Edit, *, seed: int = 0, id: str = "r") -> list[str]:
    root = Text(text, id=id, root=id)
    ctx = StepContext(root=root, seed=seed)
    return [variant.text for variant in asyncio.run(step.apply([root], ctx))]


@given(anything, kinds, rates)
def test_a_text_with_content_never_becomes_empty(text: str, kind: str, rate: float) -> None:
    for copy in edited(text, Edit(kind, rate=rate, n=2)):
        assert bool(copy.strip()) == bool(text.strip())


@given(anything, kinds)
def test_rate_0_changes_nothing(text: str, kind: str) -> None:
    assert edited(text, Edit(kind, rate=0, n=2)) == [text, text]


@given(
    st.lists(st.sampled_from(["good", "bad", "Film", "x", "it's"]), min_size=2).map(" ".join),
    kinds,
    rates,
)
def test_some_rate_changes_something(text: str, kind: str, rate: float) -> None:
    copy = edited(text, Edit(kind, rate=rate))[0]
    if kind == "swap" and len(set(text.split())) < 2:
        assert copy == text
    else:
        assert copy != text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_low_rate_makes_one_edit(kind: str) -> None:
    text = "one two three four"
    copy = edited(text, Edit(kind, rate=0.01))[0]
    same = sum(a == b for a, b in zip(text.split(), copy.split(), strict=False))
    assert copy != text
    assert kind in {"swap", "delete", "duplicate"} or same == 3


@given(anything, rates)
def test_swap_keeps_the_words_and_the_gaps(text: str, rate: float) -> None:
    copy = edited(text, Edit("swap", rate=rate))[0]
    assert Counter(copy.split()) == Counter(text.split())
    assert [c for c in copy if c.isspace()] == [c for c in text if c.isspace()]


def test_delete_removes_the_share_and_keeps_the_order() -> None:
    words = SENTENCE.split()
    copy = edited(SENTENCE, Edit("delete", rate=0.3))[0].split()
    assert len(copy) == len(words) - 3
    remaining = iter(words)
    assert all(word in remaining for word in copy)


def test_delete_keeps_the_white_space_between_the_others() -> None:
    copies = edited(" a  b\nc ", Edit("delete", n=20))
    assert set(copies) == {" b\nc ", " a  c ", " a  b "}


def test_duplicate_says_words_twice() -> None:
    copy = edited(SENTENCE, Edit("duplicate", rate=0.2))[0].split()
    assert len(copy) == len(SENTENCE.split()) + 2
    assert sum(a == b for a, b in pairwise(copy)) == 2


@given(anything, rates)
def test_case_changes_nothing_else(text: str, rate: float) -> None:
    copy = edited(text, Edit("case", rate=rate))[0]
    assert copy.upper().casefold() == text.upper().casefold()


@pytest.mark.parametrize("seed", range(20))
def test_keyboard_hits_a_neighbour_in_the_same_case(seed: int) -> None:
    copy = edited("Hello World", Edit("keyboard", rate=0.2), seed=seed)[0]
    changed = [(a, b) for a, b in zip("Hello World", copy, strict=True) if a != b]
    assert len(changed) == 2
    for was, now in changed:
        assert now.lower() in NEIGHBOURS[was.lower()]
        assert now.isupper() == was.isupper()


def test_neighbours_are_those_of_a_keyboard() -> None:
    assert set(NEIGHBOURS["s"]) == set("awedxz")
    assert all(a in NEIGHBOURS[b] for a, near in NEIGHBOURS.items() for b in near)


def test_a_typo_stays_in_the_script_of_the_text() -> None:
    for copy in edited("Фильм был плохой", Edit("typo", rate=0.5, n=20)):
        assert not any(character.isascii() and character.isalpha() for character in copy)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("swap", "one"),
        ("swap", "the the"),
        ("delete", "one"),
        ("keyboard", "123 плохой"),
        ("typo", "12 + 34"),
        ("case", "1984"),
        ("duplicate", "  "),
    ],
)
def test_a_text_that_allows_no_edit_comes_back(kind: str, text: str) -> None:
    assert edited(text, Edit(kind, rate=0.5)) == [text]


@given(anything, kinds, st.integers(0, 3))
def test_a_copy_depends_on_seed_text_and_number_alone(text: str, kind: str, seed: int) -> None:
    copies = edited(text, Edit(kind, n=3), seed=seed)
    assert edited(text, Edit(kind, n=3), seed=seed, id="another") == copies
    assert edited(text, Edit(kind, n=2), seed=seed) == copies[:2]


def test_seeds_and_numbers_give_different_copies() -> None:
    copies = edited(SENTENCE, Edit("typo", n=4)) + edited(SENTENCE, Edit("typo", n=4), seed=1)
    assert len(set(copies)) == 8


@pytest.mark.parametrize(
    ("kind", "copy"),
    [
        ("case", "the film Was A mess"),
        ("delete", "film was mess"),
        ("duplicate", "the film was was a a mess"),
        ("keyboard", "the fjlm szd a mess"),
        ("swap", "was the film a mess"),
        ("typo", "tlh fllm was a mesj"),
    ],
)
def test_the_copy_of_a_seed_never_changes(kind: str, copy: str) -> None:
    assert edited("the film was a mess", Edit(kind, rate=0.3)) == [copy]


def test_copies_say_where_they_come_from() -> None:
    root = Text("a b c", id="r1", root="r1", meta={"label": "bad"})
    variants = asyncio.run(Edit("swap", n=2).apply([root], StepContext(root=root)))
    assert [v.id for v in variants] == ["r1/edit.0", "r1/edit.1"]
    assert {(v.root, v.made_by, v.meta["label"]) for v in variants} == {
        ("r1", "edit('swap', n=2)", "bad")
    }


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Edit("swop"), "edit('swop'): unknown kind 'swop'; did you mean swap?"),
        (Edit({}), "unknown kind {}"),  # type: ignore[arg-type]
        (Edit("swap", rate=1.5), "rate must be a number from 0 to 1"),
        (Edit("swap", rate=float("nan")), "rate must be"),
        (Edit("swap", rate=True), "rate must be"),
        (Edit("swap", n=0), "n must be a whole number from 1 to 10,000"),
        (Edit("swap", n=2.0), "n must be"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_makes_no_sense_is_refused(step: Edit, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
