"""`keep`: the texts as they are."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.plan import Context, Step
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Keep(Step):
    """Pass every text on, untouched: `keep() + paraphrase(n=4)` also yields the original."""

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return texts
