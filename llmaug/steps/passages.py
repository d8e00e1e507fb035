"""`passages`: what the index holds about a text, for prompts that are fed by the corpus."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.plan import Context, Step
from llmaug.steps.excerpts import is_input
from llmaug.steps.roundtrip import check_depth
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Passages(Step):
    """Give each text the `k` best passages of the index as its field `passages`, best first.

    A passage is one string, its title before it; `passage_ids` and `passage_scores` go with them.
    So a prompt can show them: `passages(k=3) >> generate('./from_passages.prompty')`. The
    passage that is the input itself is left out.
    """

    k: int = 5

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index"})

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"passages", "passage_ids", "passage_scores"})

    def check(self) -> None:
        check_depth(self, self.k)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        if not texts:
            return texts
        # One more than asked for, since the input may be a passage of the index itself.
        found = await ctx.search([text.text for text in texts], self.k + 1)
        given = []
        for text, passages in zip(texts, found, strict=True):
            others = [one for one in passages if not is_input(one, ctx.root)][: self.k]
            given.append(
                text.with_meta(
                    passages=[
                        f"{passage.meta.get('title') or ''}\n{passage.text}".strip()
                        for passage in others
                    ],
                    passage_ids=[passage.id for passage in others],
                    passage_scores=[passage.meta.get("score") for passage in others],
                )
            )
        return given
