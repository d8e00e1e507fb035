"""`specific`: whether a query asks for a few passages or would do for any."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.excerpts import MOST
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Specific(Step):
    """Drop a variant that more than `max` passages of the index answer about equally well.

    A passage does when its score is at most the share `margin` below the best one's: with 0.1,
    when it has 90 % of it. Dropped as "generic"; survivors carry how many did as the field
    `matches`, the best one included (0 where nothing was found). Inputs pass.

    To choose, run queries of people (those of the training set) through `specific(max=999)` and
    take a `max` that keeps at least 95 % of them: the defaults keep 99 % of 400 training claims of
    SciFact in a BM25 index. How steeply scores fall depends on the search: a cosine needs a
    smaller `margin` than BM25, and the scores of reciprocal rank fusion depend on places alone,
    so that this filter can tell nothing from them.
    """

    max: int = 5
    margin: float = 0.1

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index"})

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"matches"})

    def check(self) -> None:
        if isinstance(self.max, bool) or not isinstance(self.max, int) or not 1 <= self.max < MOST:
            raise PlanError(f"{self}: max must be a whole number from 1 to {MOST - 1}")
        if (
            isinstance(self.margin, bool)
            or not isinstance(self.margin, int | float)
            or not (0 <= self.margin < 1)
        ):
            raise PlanError(f"{self}: margin must be a number from 0 to less than 1")

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        asked = [text.text for text in texts if text.made_by]
        # One more than allowed, to see whether there are too many.
        found = iter(await ctx.search(asked, self.max + 1) if asked else [])
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            scores = [score_of(passage) for passage in next(found)]
            least = scores[0] - self.margin * abs(scores[0]) if scores else 0.0
            matches = sum(score >= least for score in scores)
            if matches > self.max:
                ctx.drop(text, "generic")
            else:
                kept.append(text.with_meta(matches=matches))
        return kept


def score_of(passage: Text) -> float:
    """The score with which a search returned the passage."""
    score = passage.meta.get("score")
    if not isinstance(score, int | float):
        raise PlanError(
            f"the index returned {passage.id} without a score, which specific() compares; give "
            "an index whose passages carry the field 'score'"
        )
    return score
