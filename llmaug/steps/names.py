"""The names in a text, as far as capital letters show them, and whether another text has them."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from llmaug.steps.numbers import CODES

WORD = re.compile(r"[^\W_](?:[^\W_]|\.(?=[^\W\d_]\b)|&(?=[^\W\d_])|['’‘](?=[^\W\d_]))*")
POSSESSIVE = re.compile(r"['’‘]s?\Z")
# A capital says nothing at the beginning of a text, of a sentence and of a quotation, and in an
# item of a list.
LOOKED_BACK = 40  # characters
OPENS = re.compile(r"(?:\A|[.!?…:;。！？\n]|--|[-–—•*]\s|[\"“”„«»`‘]|\s'|\()[\s\"'“”„«»`‘(\[]*\Z")
SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
HEADLINE = 0.75  # of a sentence's longer words: with more of them capitalised it is a headline
LEAST_WORDS = 4  # longer words, to tell a headline from a sentence such as "Meet John Smith."
# Little words, titles and kinds of companies (which a rewrite may leave out), emphasis in capitals.
NO_NAMES = frozenset(
    """
    a an and as at but by for from he his how i if in is it its my no not of oh ok on or our she
    so the their they this to tv we what when where who why with yes you your am pm
    mr mrs ms dr sir president chief minister prime secretary senator judge general coach
    inc corp corporation co ltd llc plc company group ag sa
    all bad best ever good great love must never only really very worst
    """.split()  # noqa: SIM905  a list would be a page long
)
OTHER_NAMES = {  # that a rewrite takes for one another
    "us": ("united", "america", "american", "usa"),
    "usa": ("united", "america", "american", "us"),
    "uk": ("britain", "british", "united"),
    "eu": ("europe", "european"),
    "un": ("united",),
    "la": ("angeles",),
}


def names_in(text: str) -> frozenset[str]:
    """The words of a text that are surely names or parts of names, as they stand there.

    A word is one that begins with a capital letter and does not open a sentence or a quotation,
    or that has a capital behind its first letter or a digit behind a capital (NASA, iPhone, F16),
    or that is such a word elsewhere in the text. Not a name is a word that also stands
    there in lower case, a title (President), and what stands in a headline or in capitals among
    capitals, where nothing can be told.
    """
    plain = CODES.sub("'", text)
    capitalised: set[str] = set()
    opening: set[str] = set()
    lower: set[str] = set()
    for sentence in SENTENCE.split(plain):
        words = list(WORD.finditer(sentence))
        shouted, headline = _kind([word[0] for word in words])
        for found in words:
            word = POSSESSIVE.sub("", found[0])
            if word == word.lower():
                lower.add(word)
            elif shouted or folded(word) in NO_NAMES or re.match(r"\w\Z|I['’]", word):
                continue
            elif _marked(word):
                capitalised.add(word)
            elif headline or _opens(sentence, found.start()):
                opening.add(word)
            else:
                capitalised.add(word)
    known = {folded(word) for word in capitalised}
    named = capitalised | {word for word in opening if folded(word) in known}
    return frozenset(word for word in named if _marked(word) or word.lower() not in lower)


def _opens(sentence: str, at: int) -> bool:
    """Whether what stands at a place opens a sentence or quotation; looks back a little only."""
    if at <= LOOKED_BACK:
        return bool(OPENS.search(sentence[:at]))
    return bool(OPENS.search("x" + sentence[at - LOOKED_BACK : at]))


def names_lost(names: Iterable[str], text: str) -> list[str]:
    """The names that a text does not have, in any case and with any ending, in order.

    Endings are not compared where a name has four letters or more: "Iraq" and "Iraqi" are the
    same, and so are "Niger" and "Nigeria". "European Union" is there as "EU".
    """
    asked = sorted(names)
    words = [POSSESSIVE.sub("", found[0]) for found in WORD.finditer(CODES.sub("'", text))]
    there = {folded(word) for word in words}
    first = {folded(name)[:1] for name in asked}
    short = {folded(word) for word in words if word.isupper() and 1 < len(folded(word)) < 6}
    stand_for = {letter for word in short if set(word) <= first for letter in word}
    begun = "".join(folded(word)[:1] if word[:1].isupper() else " " for word in words)
    return [
        name
        for name in asked
        if not _there(folded(name), there)
        and not (len(name) > 3 and folded(name)[:1] in stand_for)
        and not (name.isupper() and folded(name) in begun)
    ]


def _there(name: str, words: set[str]) -> bool:
    others = OTHER_NAMES.get(name, ())
    return name in words or any(word in others or _alike(name, word) for word in words)


def _alike(one: str, other: str) -> bool:
    """Whether two words differ in nothing but an ending of one or two letters."""
    shorter, longer = sorted((one, other), key=len)
    if len(longer) - len(shorter) > 2 or len(shorter) < 4:
        return False
    same = len(shorter) - 1 if len(shorter) > 4 else len(shorter)
    return shorter[:same] == longer[:same]


def _kind(words: list[str]) -> tuple[bool, bool]:
    """Whether a sentence stands in capitals, and whether it is a headline."""
    longer = [word for word in words if len(word) > 3 and word[0].isalpha()]
    several = [word for word in words if len(word) > 1 and word[0].isalpha()]
    shouted = len(several) > 1 and sum(map(str.isupper, several)) > HEADLINE * len(several)
    begun = sum(word[0].isupper() for word in longer)
    return shouted, len(longer) >= LEAST_WORDS and begun > HEADLINE * len(longer)


def _marked(word: str) -> bool:
    """Whether a word looks like a name wherever it stands: NASA, iPhone, F16."""
    numbered = word[:1].isupper() and any(map(str.isdigit, word))
    return numbered or any(map(str.isupper, word[1:]))


@functools.lru_cache(maxsize=4096)
def folded(word: str) -> str:
    """A word without case, accents and points: "U.S." is "us"."""
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c) and c not in ".'’‘")
