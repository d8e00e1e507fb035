"""Whether a text says no: English negations, and what may stand for one."""

from __future__ import annotations

import re
from typing import NamedTuple


class Negated(NamedTuple):
    """Whether a text surely negates, and whether it holds anything that may."""

    surely: bool
    maybe: bool  # true where `surely` is


# In these a negation denies nothing.
IDIOMS = re.compile(
    r"\bnot (?:only|just|merely|simply|to mention)\b|\bno (?:doubt|wonder|matter|question)\b"
    r"|\bno(?:s?\.|) ?#?\d|\bnothing (?:but|short of)\b|\bwhy not\b|\bif not\b|\bwhether or not\b"
    r"|\bnever ?mind\b|\b(?:can(?:not|'?t)|couldn'?t) (?:help|wait)\b|\bno (?:less|more than)\b"
    r"|n'?t (?:it|he|she|they|we|you|that) ?\?"
)
SURELY = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly|barely"
    r"|scarcely|ain'?t|nope)\b|n ?'t\b|\bnt\b"  # "is nt" has lost its apostrophe
    r"|\b(?:ca|could|did|does|do|had|has|have|is|are|was|were|wo|would|should|must|need)nt\b"
)
# What a rewrite says in place of a negation. Words such as "under" and "unless" only look so.
MAYBE = re.compile(
    r"\b(?:lack\w*|fail\w*|unable|absen\w+|devoid|missing|miss(?:es)?|rare(?:ly)?|seldom|little"
    r"|few|refus\w+|reject\w*|declin\w+|den(?:y|ies|ied|ying)|avoid\w*|prevent\w*|stop\w*|cease\w*"
    r"|instead|rather|except|free|anything but|far from|too|loss|los[et]s?|depriv\w+|exclud\w+"
    r"|zero|minus|non\w*|doubt\w*|beyond|bans?|banned|forb\w+|prohibit\w*|rule[sd]? out|leav\w+"
    r"|un(?!i[a-z]|ti|der|cle)[a-z]{3,}|dis[a-z]{4,}|im(?:possib|prob|perf|mat)\w+|mis[a-z]{4,}"
    r"|in(?:cap|comp|suff|adeq|abil|effect|different|consist|sincer|significan|accura|visib)\w+"
    r"|ir(?:rel|resp|rat)\w+|il(?:leg|log)\w+|(?!un|neverthe|nonethe|regard)\w{3,}less(?:ly|ness)?)\b"
)


def negated(text: str) -> Negated:
    """Whether a text negates. Antonyms cannot be told ("not good", "bad"), nor other languages."""
    plain = re.sub(r"['’‘`]", "'", text).casefold()
    surely = bool(SURELY.search(IDIOMS.sub(" ", plain)))
    return Negated(surely, surely or bool(SURELY.search(plain) or MAYBE.search(plain)))
