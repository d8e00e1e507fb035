"""`specific`: queries that too many passages answer equally well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmaug as la
from llmaug.errors import PlanError
from llmaug.plan import Step
from llmaug.steps.specific import Specific
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text

ROOT = Text("a passage", "d0", "d0")


class Scored(StepContext):
    """Finds passages with given scores for every query."""

    found: Sequence[float] = ()

    async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]:
        best = sorted(self.found, reverse=True)[:k]
        passages = [
            Text("", f"d{i}", f"d{i}").with_meta(score=score, rank=i)
            for i, score in enumerate(best, 1)
        ]
        return [passages for _ in queries]


def matches(step: Step, scores: Sequence[float]) -> int | str:
    """How many passages match by a survivor's field, or why it was dropped."""
    ctx = Scored(root=ROOT)
    ctx.found = scores
    variant = ROOT.derive("a query", made_by="x()", id="v")
    passed = asyncio.run(step.apply([ROOT, variant], ctx))
    assert passed[0] is ROOT
    return passed[1].meta["matches"] if passed[1:] else ctx.drops[0][1]


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ([10, 9.5, 8.9], 2),
        ([10, 9.0, 8.9], 2),  # the edge belongs to it
        ([10, 9.5, 9.4], "generic"),
        ([10, 10, 10, 10], "generic"),
        ([10], 1),
        ([], 0),
        ([-1.0, -1.05, -1.2], 2),  # a cosine may be negative
        ([0.0, 0.0, 0.0], "generic"),
        ([0.0, -0.1, -0.1], 1),
    ],
)
def test_matches_score_within_the_margin_of_the_best(scores: list[float], found: int | str) -> None:
    assert matches(Specific(max=2, margin=0.1), scores) == found


@given(
    st.lists(st.floats(-10, 10), max_size=8),
    st.integers(1, 9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_larger_max_or_a_smaller_margin_keeps_what_was_kept(
    scores: list[float], most: int, margin: float
) -> None:
    found = matches(Specific(most, margin), scores)
    if found != "generic":
        assert matches(Specific(most + 1, margin), scores) == found
        assert matches(Specific(most, margin / 2), scores) != "generic"


def test_a_query_of_common_words_is_generic_in_a_real_index(tmp_path: Path) -> None:
    names = ["kettle", "vacuum", "torch", "printer", "lamp", "camera", "radio", "clock"]
    corpus = [
        Text(f"the {name} is a good product", f"d{i}", f"d{i}") for i, name in enumerate(names)
    ]
    index = la.Index.build(corpus, tmp_path / "index", embedder=None)
    ctx = StepContext(root=corpus[0])
    found = index.retrieve(["good product", "kettle product"], 4)
    assert {passage.meta["score"] for passage in found[0]} == {found[0][0].meta["score"]}

    class Searching(StepContext):
        async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]:
            return index.retrieve(list(queries), k)

    ctx = Searching(root=corpus[0])
    texts = [
        corpus[0].derive(query, made_by="x()", id=query)
        for query in ("good product", "kettle product", "zebra")
    ]
    kept = asyncio.run(Specific(max=3).apply(texts, ctx))
    assert {text.text: text.meta["matches"] for text in kept} == {"kettle product": 1, "zebra": 0}
    assert [(text.text, reason) for text, reason in ctx.drops] == [("good product", "generic")]


def test_an_index_without_scores_is_told() -> None:
    class Unscored(StepContext):
        async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]:
            return [[Text("x", "d0", "d0")] for _ in queries]

    ctx = Unscored(root=ROOT)
    variant = ROOT.derive("x", made_by="x()", id="v")
    with pytest.raises(PlanError, match="returned d0 without a score, which specific"):
        asyncio.run(Specific().apply([variant], ctx))


def test_it_keeps_the_laws() -> None:
    for step in (Specific(), Specific(max=1, margin=0), Specific(1, 0.6)):
        check_step(step, names={"specific": Specific})


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Specific(0), "max must be a whole number from 1 to 999"),
        (Specific(1000), "max must be a whole number from 1 to 999"),
        (Specific(True), "max must be a whole number"),
        (Specific(margin=1), "margin must be a number from 0 to less than 1"),
        (Specific(margin=float("nan")), "margin must be a number"),
        (Specific(margin=-0.1), "margin must be a number"),
    ],
)
def test_values_that_make_no_sense_are_refused(step: Step, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
