"""Which rewrites are none, and what a text is without its noise."""

from __future__ import annotations

from llmaug.steps.filters import normalised as same_words
from llmaug.steps.normalise import normalised

MOST_CHARACTERS, MOST_TIMES = 1_000, 5  # of a rewrite: the larger of the two, times its text's


def without_noise(text: str) -> str:
    """The text normalised; as it is where only white space would change, or nothing be left."""
    cleaned = normalised(text)
    return cleaned if cleaned.strip() and cleaned.split() != text.split() else text


def no_rewrite(written: str, *, of: str) -> str:
    """Why a text is no rewrite of another: an echo, or no end to it; "" where it is one."""
    if same_words(written) == same_words(of):
        return "unchanged"
    return "too long" if len(written) > max(MOST_CHARACTERS, MOST_TIMES * len(of)) else ""
