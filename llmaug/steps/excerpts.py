"""Passages of the index as a prompt shows them: one line each, cut to a length."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.filters import WORD
from llmaug.text import Text

NOTHING_FOUND = "no passages found"
MOST = 1_000  # passages asked for at once
WORDS = 128  # as CSQE, which cuts a passage at 128 tokens
TAG = re.compile(r"<(?=\s*/?\s*passage)", re.IGNORECASE)  # as prompts mark passages
LONGEST = 12  # characters a word on average, so that no passage of long tokens fills the prompt


async def found(
    query: str, text: Text, ctx: Context, *, k: int, depth: int, seen: Collection[str] = ()
) -> list[Text]:
    """The `k` best passages for a query among the first `depth`, best first.

    Without the passages of `seen`, and without the one that is the input itself.
    """
    passages = (await ctx.search([query], depth + 1))[0]
    return [one for one in passages if one.id not in seen and not is_input(one, ctx.root)][:k]


def is_input(passage: Text, root: Text) -> bool:
    """Whether a passage is the input itself; a query may have the id of some document by chance."""
    return passage.id == root.id and passage.text.split() == root.text.split()


def excerpt(passage: Text, words: int) -> str:
    """The passage's title and its first words, on one line.

    So that no passage can look like the end of its block or like the instructions of a prompt.
    """
    title = " ".join(str(passage.meta.get("title") or "").split())
    line = " ".join(passage.text[: words * LONGEST * 2].split())
    whole = TAG.sub("‹", f"{title}: {line}" if title and line else title or line)
    last = 0
    for word in itertools.islice(WORD.finditer(whole), words):
        last = word.end()
    return whole[: min(last, words * LONGEST)].rstrip()


def check_whole(step: Step, *, most: int, **values: object) -> None:
    """Raise `PlanError` unless each of the values is a whole number from 1 to `most`."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise PlanError(f"{step}: {name} must be a whole number from 1 to {most:,}")
