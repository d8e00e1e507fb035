"""Whether an answer is of the kind that was asked for: running text or the item of a list."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter

ASKED = ("", "prose", "items")

ITEM = re.compile(r"(?:[-*•–]|\(?\d{1,3}[.):])\s+\S")
NUMBERED = re.compile(r"\(?1[.)]\s.+?\s\(?2[.)]\s", re.DOTALL)
HEADING = re.compile(r"#{1,6}\s|.*[:：][*_\s]*\Z")
# Says that it does not know, offers help or asks for the task: no answer to a query. Where a text
# is to be rewritten, its author may say the same. "How can I help a teenager?" and "What is the
# task weighting?" ask for neither: a list of sub-questions may hold them.
NO_ANSWER = re.compile(
    r"(?:i(?:'m| am) (?:(?:ready|here|happy|glad) to (?:assist|help)|not (?:aware|familiar|sure))\b"
    r"|i (?:do not|don't) have (?:any |enough |further |specific |sufficient |the )*"
    r"(?:context|data|details|information|knowledge)\b"
    r"|i (?:can(?:no|')t|can not|could(?:n't| not)) (?:find|determine|verify)\b"
    r"|(?:how|what) (?:can|may) i (?:assist|help)(?: (?:you|today)\b|\s*[.?!]|\Z"
    r"| with your (?:question|query|request|task|text)\b)"
    r"|(?:please|could you|can you) (?:please )?(?:clarify|provide|share|specify)\b"
    r"|(?:what is|what's) (?:your (?:question|query|task)\b"
    r"|the (?:question|query|task)(?:\s*[.?!]|\Z| you(?:'d| would) like\b)))",
    re.IGNORECASE,
)

LOOKED_AT = 1_000  # characters of an answer, to learn its script
LEAST_LETTERS = 3  # in a source of fewer, a symbol such as "β" says nothing about its language
# Scripts that texts in Chinese, Japanese and Korean mix.
EAST_ASIAN = {"BOPOMOFO", "CJK", "HANGUL", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}


def unlike(answer: str, *, asked: str, source: str) -> str:
    """Why an answer is not of the kind `asked` for ("prose" or "items"); "" when it is."""
    if no_answer(answer) and not no_answer(source):
        return "refusal"
    if "\n" not in answer and HEADING.match(answer):
        return "heading"
    if asked == "prose" and is_list(answer):
        return "list"
    return "other script" if in_other_script(answer, source=source) else ""


def no_answer(text: str) -> bool:
    """Whether a text begins by saying that its author does not know, or asks for the task."""
    return bool(NO_ANSWER.match(" ".join(text[:200].replace("’", "'").split())))


def is_list(answer: str) -> bool:
    """Whether an answer counts "1. … 2. …", or half of its lines or more are bulleted."""
    lines = [line for line in map(str.strip, answer.splitlines()) if line]
    items = sum(1 for line in lines if ITEM.match(line))
    return bool(NUMBERED.match(answer)) or (items >= 2 and 2 * items >= len(lines))


def in_other_script(answer: str, *, source: str) -> bool:
    """Whether most letters of an answer are of scripts that the source does not use.

    Tells Russian from English and not French from English.
    """
    if source.isascii() and answer.isascii():
        return False
    own, found = _letters(source), _letters(answer[:LOOKED_AT])
    if own.total() < LEAST_LETTERS:
        return False
    foreign = sum(count for script, count in found.items() if script not in own)
    return 2 * foreign > found.total()


def _letters(text: str) -> Counter[str]:
    """How many letters of each script a text holds."""
    folded = unicodedata.normalize("NFKC", text)
    return Counter(_script(character) for character in folded if character.isalpha())


@functools.lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "UNKNOWN").split()[0]
    return "EAST ASIAN" if first in EAST_ASIAN else first
