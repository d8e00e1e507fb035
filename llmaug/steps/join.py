"""`join`: the texts of one root as one text."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Join(Step):
    """All texts of the root, one after another, as one text.

    `keep() + keywords() >> join()` gives the query with its search terms behind it. The
    fields of the root are kept, those that variants gained are not.
    """

    separator: str = " "

    def check(self) -> None:
        if not isinstance(self.separator, str):
            raise PlanError(f"{self}: the separator must be a string")

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        if not texts:
            return []
        joined = self.separator.join(text.text for text in texts)
        return [ctx.root.derive(joined, made_by=str(self), id=f"{ctx.root.id}/join.0")]
