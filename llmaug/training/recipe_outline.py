"""What a recipe will do, in words, before anything is done."""

from __future__ import annotations

from collections.abc import Iterator

from llmaug.retrieval.collection import Collection
from llmaug.training.recipe_file import Recipe


def outline(recipe: Recipe) -> Iterator[str]:
    """A line for each stage. Reads the judgements, not the documents, and loads no model."""
    yield f"base: index {recipe.corpus} with {recipe.model} and BM25"
    generate = recipe.generate
    if generate is not None:
        count = "all" if generate.documents is None else f"{generate.documents:,}"
        but = "" if generate.test_documents or recipe.test is None else " (none of the test)"
        what = f"take those in {generate.pairs}{but}"
        if generate.plan is not None:
            what = f"{generate.plan} for {count} documents{but}, asking {generate.lm or 'no model'}"
        yield f"generate: {what}"
    yield f"filter: {_choosing(recipe)}"
    mine = recipe.mine
    if mine is None:
        yield "mine: nothing, only documents of the same batch are negatives"
    else:
        taught = f", scored by {mine.teacher}" if mine.teacher else ""
        yield f"mine: {mine.negatives} negatives from {' and '.join(mine.sources)}{taught}"
    train = recipe.train
    ratios = ", ".join(f"{ratio:g}" for ratio in train.ratios)
    sweep = f", once for each ratio of {ratios}" if ratios else ""
    rate = f"{train.learning_rate:g}"
    yield f"train: {train.epochs} epochs in batches of {train.batch} at {rate}{sweep}"
    if recipe.saturation:
        shares = ", ".join(f"{share:g}" for share in recipe.saturation)
        none = ", and on none" if recipe.human else ""
        yield f"saturation: train on {shares} of the synthetic queries{none}"
    if recipe.gate is None:
        yield "gate: none, the tuned model goes out"
    else:
        weights = ", ".join(f"{weight:g}" for weight in recipe.gate.weights)
        yield f"gate: base against weights {weights} of the tuned model, by {recipe.gate.measure}"
    if recipe.index is not None:
        yield "index: the corpus with the model that goes out"
    if recipe.test is not None:
        measured = " and ".join([recipe.corpus, *recipe.test.also])
        yield f"evaluate: {', '.join(recipe.evaluate.measures)} on {measured}"
    yield f"model: {recipe.output}/model with its card"


def _choosing(recipe: Recipe) -> str:
    parts = []
    if recipe.human is not None:
        found = Collection.read(recipe.corpus, split=recipe.human.split)
        parts.append(f"{len(found.judged_queries):,} human queries of {recipe.human.split}")
    if recipe.generate is not None:
        parts.append("what the filters leave of the written ones")
    dev = recipe.dev
    if dev is not None:
        share = (
            f"{dev.share:.0%}" if dev.share is not None else f"{dev.count:,}" if dev.count else ""
        )
        aside = f"the split {dev.split}" if dev.split else f"{share} of the {dev.of} queries"
        parts.append(f"dev queries are {aside}")
    return "; ".join(parts)
