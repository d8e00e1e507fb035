"""`first_sentence` and `first_line`: the text that was asked for, where a reply goes on behind."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from llmaug.plan import Context, Step
from llmaug.steps.chatter import BULLET, cleaned, cut_in_reasoning
from llmaug.text import Text

END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|\Z)|[。！？]+[」』”’\"']*")
NEXT_WORD = re.compile(r"\s*[\"'“‘(\[]*(\w[\w-]*)(?!\.)")
# A letter by itself or with others, each with its full stop: "E. coli", "U.S.", "i.e.".
INITIALS = re.compile(r"(?:^|[\s(\[\"'“‘-])(?:[^\W\d_]\.)*[^\W\d_]$")
LAST_WORD = re.compile(r"([^\W\d_]+)$")
ABBREVIATION = re.compile("al|approx|ca|cf|dr|mrs?|ms|prof|spp?|st|subsp|var|viz|vs")
BEFORE_A_NUMBER = re.compile("ch|eqs?|figs?|nos?|pp?|refs?|sec|tab|vol")
# What begins a sentence and hardly follows an abbreviation within one.
OPENER = re.compile(
    "a|all|although|an|and|are|as|at|both|but|by|can|do|does|for|from|he|how|however|if|in|is|it|"
    "its|moreover|most|our|she|since|so|some|such|that|the|their|then|there|therefore|these|they|"
    "this|those|thus|to|we|what|when|where|which|while|who|why|with|you"
)


class Opening(NamedTuple):
    """The beginning of a reply; `whole` says that it ends there even if the reply was cut off."""

    text: str
    whole: bool


@dataclass(frozen=True, repr=False)
class FirstSentence(Step):
    """Each variant up to the end of its first sentence; the end of a line ends one too.

    For prompts that ask for one sentence: small models go on after it. What chat models put
    around an answer is stripped first, as in `clean`, so that the first sentence is not "Here is
    a question:". A reply that was cut off behind its first sentence is usable and loses the field
    `finish`; one that was cut off within it is left as it is, for `clean` to drop. A full stop of
    an abbreviation ("E. coli", "Fig. 2", "vs.") ends no sentence, unless a word such as "The"
    follows.
    """

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [_opened(text, ctx, sentence=True) for text in texts]


@dataclass(frozen=True, repr=False)
class FirstLine(Step):
    """Each variant up to the end of its first line, as `first_sentence` does it with sentences.

    For titles and search terms, which may hold a full stop and end without one. Of a reply that
    was cut off within its first line the first sentence counts.
    """

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [_opened(text, ctx, sentence=False) for text in texts]


def _opened(text: Text, ctx: Context, *, sentence: bool) -> Text:
    if not text.made_by or cut_in_reasoning(text.text, ctx.root.text):
        return text
    cut_off = text.meta.get("finish") == "length"
    opening = first_line(cleaned(text.text, source=ctx.root.text))
    if sentence or (cut_off and not opening.whole):
        opening = first_sentence(opening)
    if not cut_off:
        return text if opening.text == text.text else replace(text, text=opening.text)
    if not opening.whole:
        return text
    meta = {name: value for name, value in text.meta.items() if name != "finish"}
    return replace(text, text=opening.text, meta=meta)


def first_line(reply: str) -> Opening:
    """The first line with a letter or digit, without its bullet; whole when another follows."""
    lines = reply.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if re.search(r"\w", line):
            whole = number + 1 < len(lines) or line != line.rstrip("\r\n")
            bullet = BULLET.match(line.strip())
            return Opening(line.strip()[bullet.end() if bullet else 0 :], whole)
    return Opening(reply.strip(), False)


def first_sentence(line: Opening) -> Opening:
    """The first sentence of a line; the line itself where no sentence ends in it."""
    for end in END.finditer(line.text):
        before, after = line.text[: end.start()], line.text[end.end() :]
        if before.strip() and _is_end(before[-24:], end[0], after[:40]):
            return Opening(line.text[: end.end()].strip(), True)
    return line


def _is_end(before: str, mark: str, after: str) -> bool:
    """Whether a mark between these ends a sentence."""
    if mark[0] not in ".…":
        return True
    following = NEXT_WORD.match(after)
    word = following[1] if following else ""
    last = LAST_WORD.search(before)
    name = last[1].casefold() if last else ""
    numbered = BEFORE_A_NUMBER.fullmatch(name)
    shortened = INITIALS.search(before) or ABBREVIATION.fullmatch(name)
    if not after.strip():  # where a reply was cut off, "0." may have become "0.5"
        return not (before[-1].isdigit() or shortened or numbered)
    if word[:1].islower() or (numbered and re.search(r"\d", word)):
        return False
    return bool(OPENER.fullmatch(word.casefold())) if shortened else True
