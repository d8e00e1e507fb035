"""The words of a text and the runs of words that it has in common with another."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Set

from llmaug.steps.filters import WORD

Run = tuple[str, ...]


def words(text: str) -> list[str]:
    """The words without case, punctuation or compatibility forms.

    A hyphen or apostrophe parts two words; scripts without spaces have a word a character.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Letters, the marks that belong to them, and digits: \w would lose the vowels of Hindi.
    bare = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return WORD.findall(bare)


def runs(words: list[str], length: int) -> Iterable[Run]:
    """Each run of `length` neighbouring words, from left to right; none in a shorter text."""
    return zip(*(words[start:] for start in range(length)), strict=False)


def covered(words: list[str], known: Set[Run], *, length: int) -> int:
    """How many of the words stand in a run of `length` words that is among the known ones."""
    end = count = 0  # words before `end` are counted
    for start, run in enumerate(runs(words, length)):
        if run in known:
            count += start + length - max(start, end)
            end = start + length
    return count
