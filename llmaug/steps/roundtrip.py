"""`roundtrip`: whether a variant leads back to its input in an index."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.text import Text

MOST = 1_000


@dataclass(frozen=True, repr=False)
class Roundtrip(Step):
    """Keep the variants that find their own input among the `k` best passages of the index.

    For questions written for a passage: a question that does not lead back to it is not about it,
    or about too much. The input must be a passage of the index, by its id. Survivors carry the
    place as the field `found_at`, from 1. Dai et al. 2022, Promptagator (arXiv 2209.11755),
    section 3.2, with k = 1; inputs pass.
    """

    k: int = 1

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index"})

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"found_at"})

    def check(self) -> None:
        check_depth(self, self.k)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        asked = [text.text for text in texts if text.made_by]
        found = iter(await ctx.search(asked, self.k) if asked else [])
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            ids = [passage.id for passage in next(found)]
            if text.root in ids:
                kept.append(text.with_meta(found_at=1 + ids.index(text.root)))
            else:
                ctx.drop(text, f"not in the top {self.k}")
        return kept


def check_depth(step: Step, k: object) -> None:
    """Raise `PlanError` unless `k` is a number of passages that can be asked for."""
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST:
        raise PlanError(f"{step}: k must be a whole number from 1 to {MOST:,}")
