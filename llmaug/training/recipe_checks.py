"""What in a recipe contradicts itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmaug.training.recipe_sections import Evaluate, Filter

if TYPE_CHECKING:
    from llmaug.training.recipe_file import Recipe


def contradictions(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each with the section at fault and what to do."""
    yield from _queries(recipe)
    yield from _deciding(recipe)
    yield from _measuring(recipe)
    yield from _teaching(recipe)
    yield from _ordering(recipe)


def _queries(recipe: Recipe) -> Iterator[tuple[str, str]]:
    human, synthetic = recipe.human is not None, recipe.generate is not None
    if not human and not synthetic:
        yield (
            "human",
            "there are no queries to train on; add human: {split: train}, or generate",
        )
    if recipe.filter != Filter() and not synthetic:
        yield "filter", "filter works on synthetic queries, and there is no generate"
    generate, screens = recipe.generate, recipe.filter
    written = generate is not None and generate.pairs is None  # those of a file may have scores
    if screens.quantile and written and not screens.gives_scores:
        yield (
            "filter",
            "quantile drops the lowest scores, which rerank_first gives; add it to filter.plan",
        )
    if recipe.saturation and not synthetic:
        yield "saturation", "saturation is of synthetic queries, and there is no generate"
    shares = recipe.saturation
    if any(not 0 < share <= 1 for share in shares) or list(shares) != sorted({*shares}):
        yield "saturation", "saturation is a list of rising shares above 0 and at most 1"
    if (recipe.train.ratio is not None or recipe.train.ratios) and not (human and synthetic):
        lacking = "is no generate" if human else "are no human pairs"
        yield "train", f"ratio is of synthetic to human queries, and there {lacking}"


def _deciding(recipe: Recipe) -> Iterator[tuple[str, str]]:
    dev = recipe.dev
    if dev is None:
        for name, there, off in (
            ("gate", recipe.gate is not None, "set gate: false"),
            ("saturation", bool(recipe.saturation), "leave saturation out"),
            ("train", bool(recipe.train.ratios), "give one ratio"),
        ):
            if there:
                what = "a list of ratios" if name == "train" else f"the {name}"
                yield "dev", f"{what} decides by dev queries, and dev is false; add dev or {off}"
        return
    if dev.of == "human" and recipe.human is None:
        yield "dev", "dev is of human queries, and there are none; add human or of: synthetic"
    if dev.of == "synthetic" and recipe.generate is None:
        yield "dev", "dev is of synthetic queries, and there is no generate; set of: human"
    if dev.split is not None and recipe.human and dev.split == recipe.human.split:
        yield "dev", f"dev and human are both the split {dev.split!r}; take a share: 0.2 of it"
    if dev.split is not None and recipe.test and dev.split == recipe.test.split:
        yield "dev", f"dev and test are both the split {dev.split!r}; what decides cannot measure"


def _measuring(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.test is None:
        human = recipe.human
        if human is not None and (human.leaks != "refuse" or not human.test_documents):
            yield "human", "leaks and test_documents are about a test, and there is none; add test"
        if recipe.evaluate != Evaluate():
            yield "evaluate", "evaluate needs test queries; add test: {split: test}"
        if recipe.filter.leakage_cosine is not None or recipe.filter.leakage_ngram is not None:
            yield "filter", "leakage is towards test queries, and there is no test; leave it out"
    elif recipe.index is None:
        yield "index", "test is measured by searching an index; leave index: false out"


def _ordering(recipe: Recipe) -> Iterator[tuple[str, str]]:
    curriculum, mine = recipe.train.curriculum, recipe.mine
    if curriculum != "shuffled" and mine is None:
        yield (
            "train",
            f"curriculum {curriculum} orders pairs by their mined negatives, and mine is false; "
            "leave mine: false out, or set curriculum: shuffled",
        )


def _teaching(recipe: Recipe) -> Iterator[tuple[str, str]]:
    if recipe.teacher is not None:
        return
    loss, mine = recipe.train.loss, recipe.mine
    wanted = [
        ("train", "loss.distil", loss.distil > 0),
        ("train", "loss.margin_mse", loss.margin_mse > 0),
        ("train", "loss.mask_ratio", loss.mask_ratio is not None),
        ("mine", "teacher_ratio", mine is not None and mine.teacher_ratio is not None),
    ]
    for section, name, there in wanted:
        if there:
            yield (
                section,
                f"{name} needs a teacher's scores; add mine: {{teacher: fusion}}, or a "
                "cross-encoder's folder there",
            )
