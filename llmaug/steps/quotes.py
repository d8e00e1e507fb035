"""Sentences that a model says it quotes, and whether they stand in what it was shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmaug.reply import BULLET
from llmaug.steps.filters import WORD

LEAST_WORDS = 2  # one word, such as "None", is no sentence
IN_QUOTES = re.compile(r'"([^"]+)"|“([^”]+)”')
MARKS = "\"“”'‘’ "


def sort_quotes(reply: str, passages: Sequence[str]) -> tuple[list[str], list[str]]:
    """The quotes of a reply that stand in one of the passages, and those that do not.

    A quote is a line of the reply, or what stands in double quotes there. It must be in a
    passage letter for letter, but for white space, and begin and end with whole words.
    """
    shown = [_plain(passage) for passage in passages]
    real: list[str] = []
    invented: list[str] = []
    for line in reply.splitlines():
        for quote in _quotes_in(BULLET.sub("", line), shown):
            kept = real if _stands_in(quote, shown) else invented
            if quote not in kept:
                kept.append(quote)
    return real, invented


def _quotes_in(line: str, shown: Sequence[str]) -> list[str]:
    whole = _plain(line.strip().strip(MARKS))
    # A sentence may hold quotes of its own, so the whole line is looked for first.
    if not whole or _stands_in(whole, shown):
        return [whole] if whole else []
    return [_plain("".join(found)) for found in IN_QUOTES.findall(line)] or [whole]


def _stands_in(quote: str, shown: Sequence[str]) -> bool:
    if len(WORD.findall(quote)) < LEAST_WORDS:
        return False
    before = r"(?<!\w)" if re.match(r"\w", quote) else ""
    behind = r"(?!\w)" if re.search(r"\w\Z", quote) else ""
    pattern = re.compile(before + re.escape(quote) + behind)
    return any(quote in passage and pattern.search(passage) for passage in shown)


def _plain(text: str) -> str:
    return " ".join(text.split())
