"""`keeps_label`: whether a classifier sees the input's class in a variant."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class KeepsLabel(Step):
    """Keep the variants in which the classifier's class of the input has at least `min`.

    That class (the classifier's own, not a label from the file) must also be the variant's first
    one. Dropped as "label changed", or as `label<0.5`; survivors carry its probability as the
    field `label_probability`, rounded to four places, which is also what is compared. Inputs pass.

    Meant for training-time augmentation, where a new text takes over its input's label. Inside
    test-time augmentation it is self-fulfilling: it drops just those variants that could change a
    decision.
    """

    gives = frozenset({"label_probability"})
    uses = frozenset({"classifier"})

    min: float = 0.5

    def check(self) -> None:
        check_share(self, self.min)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        variants = [text for text in texts if text.made_by]
        if not variants:
            return texts
        rows = await ctx.classify([ctx.root.text, *(text.text for text in variants)])
        label = int(rows[0].argmax())
        found = iter(rows[1:])
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            row = next(found)
            probability = round(float(row[label]), 4)
            if not row[label] >= row.max():  # NaN too
                ctx.drop(text, "label changed")
            elif probability < self.min:
                ctx.drop(text, f"label<{self.min}")
            else:
                kept.append(text.with_meta(label_probability=probability))
        return kept


def check_share(step: Step, least: object) -> None:
    """Raise `PlanError` unless `min` is a probability."""
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise PlanError(f"{step}: min must be a number from 0 to 1")
