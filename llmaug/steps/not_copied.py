"""`not_copied`: whether a query is in words of its own or lifted from its passage."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.word_runs import Run, covered, runs, words
from llmaug.text import Text

RUN = 4  # words in a row that nobody writes twice by chance


@dataclass(frozen=True, repr=False)
class NotCopied(Step):
    """Drop a variant of which more than the share `max` is copied from its input or its title.

    Copied are the words that stand in a run of four or more which the input, or its field
    `title`, holds too; the share is of the variant's words, whatever their case and punctuation.
    A query of fewer words is copied only where it is the whole text or the whole title, since
    any term of the passage would look copied otherwise. The measure is the coverage of extractive
    fragments of Grusky et al. 2018 (arXiv 1804.11283), without their shorter fragments.
    Dropped as `copied>0.8`; survivors carry the share as the field `copied`, rounded to four
    places, which is also what is compared. Inputs pass.

    A retriever learns from a copied query that words must match, which word search does better.
    """

    max: float = 0.8

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"copied"})

    def check(self) -> None:
        if (
            isinstance(self.max, bool)
            or not isinstance(self.max, int | float)
            or not (0 <= self.max < 1)
        ):
            raise PlanError(
                f"{self}: max must be a number from 0 to less than 1 (nothing is copied beyond 1)"
            )

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        sources = [words(ctx.root.text)]
        if isinstance(title := ctx.root.meta.get("title"), str):
            sources.append(words(title))
        known = {run for source in sources for run in runs(source, RUN)}
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            share = round(copied(words(text.text), sources, known), 4)
            if share > self.max:
                ctx.drop(text, f"copied>{self.max}")
            else:
                kept.append(text.with_meta(copied=share))
        return kept


def copied(written: list[str], sources: list[list[str]], known: Set[Run]) -> float:
    """The share of the words that are copied; `known` are the runs of the sources."""
    if not written:
        return 0.0
    if len(written) < RUN:
        return float(written in sources)
    return covered(written, known, length=RUN) / len(written)
