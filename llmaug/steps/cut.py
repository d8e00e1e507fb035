"""`cut`: the beginning of a long text, at a limit of tokens, with the cut on record."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from llmaug.plan import Context, Step
from llmaug.steps.excerpts import check_whole
from llmaug.steps.filters import UNSPACED
from llmaug.text import Text

MOST_TOKENS = 100_000
# One match is about one token: up to 7 Latin letters, a digit, a character of a script without
# spaces, two letters of any other script, a mark, or 8 characters of white space in a row.
TOKEN = re.compile(rf"[A-Za-z]{{1,7}}|\d|[{UNSPACED}]|[^\W\d_A-Za-z{UNSPACED}]{{1,2}}|\S|\s{{8}}")
IN_WORD = re.compile(rf"[^\s{UNSPACED}]")
LONGEST_WORD = 64  # characters given up at most so that no word is cut in two


@dataclass(frozen=True, repr=False)
class Cut(Step):
    """Each text up to so many `tokens`, at the end of a word; other fields, as its title, stay.

    Tokens are estimated, so that no tokenizer is needed and every model sees the same text: see
    `estimated_tokens`. The fields `tokens_kept` and `tokens_whole` say how many are left of how
    many, also where nothing was cut; a text that was cut before keeps what is on record. How many
    texts were cut is counted.
    """

    tokens: int = 256

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"tokens_kept", "tokens_whole"})

    def check(self) -> None:
        check_whole(self, most=MOST_TOKENS, tokens=self.tokens)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [self._cut(text, ctx) for text in texts]

    def _cut(self, text: Text, ctx: Context) -> Text:
        whole = estimated_tokens(text.text)
        if whole <= self.tokens:
            if text.meta.get("tokens_kept") == whole and "tokens_whole" in text.meta:
                return text
            return text.with_meta(tokens_kept=whole, tokens_whole=whole)
        ctx.count(f"texts cut at {self.tokens:,} tokens")
        kept = beginning(text.text, self.tokens)
        return text.derive(
            kept,
            made_by=str(self),
            id=f"{text.id}/cut.0",
            tokens_kept=estimated_tokens(kept),
            tokens_whole=whole,
        )


def estimated_tokens(text: str) -> int:
    """About how many tokens a language model reads in a text, white space around it aside.

    On English abstracts 1.07 times the tokens of SmolLM2 and 1.04 times those of BERT, and within
    27 % for 98 of 100; other languages have up to twice as many.
    """
    return sum(1 for _ in TOKEN.finditer(text.strip()))


def beginning(text: str, tokens: int) -> str:
    """The first tokens of a text, without a word that they hold in part unless it is the first."""
    text = text.strip()
    after = next(itertools.islice(TOKEN.finditer(text), tokens, None), None)
    if after is None:
        return text
    end = after.start()
    at = end if IN_WORD.match(text, end) else 0
    while at > max(0, end - LONGEST_WORD) and IN_WORD.match(text, at - 1):
        at -= 1
    if at > 0 and not IN_WORD.match(text, at - 1):
        end = at
    return text[:end].rstrip()
