"""The numbers that a text says, in digits or in English words."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple


class Numbers(NamedTuple):
    """What a text says surely, and what it may mean: "both" may stand for 2, "one" for nobody."""

    said: frozenset[str]
    possible: frozenset[str]  # holds `said`


UNITS = {
    word: value
    for value, words in enumerate(
        [
            ["zero"],
            ["one"],
            ["two"],
            ["three", "third"],
            ["four", "fourth"],
            ["five", "fifth"],
            ["six", "sixth"],
            ["seven", "seventh"],
            ["eight", "eighth"],
            ["nine", "ninth"],
            ["ten", "tenth"],
            ["eleven", "eleventh"],
            ["twelve", "twelfth"],
            *([f"{stem}teen", f"{stem}teenth"] for stem in ("thir", "four", "fif", "six", "seven")),
            ["eighteen", "eighteenth"],
            ["nineteen", "nineteenth"],
        ]
    )
    for word in words
}
TENS = {
    word: 10 * value
    for value, stem in enumerate(("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine"), 2)
    for word in (f"{stem}ty", f"{stem}tieth")
}
BEHIND_TENS = {**UNITS, "first": 1, "second": 2}
# Said without counting ("no one", "at first", "wait a second", "half-hearted"): never missed, but
# they do stand for a number that the other text says.
LOOSE = {
    "zero": "0",
    "nil": "0",
    "half": "0.5",
    "one": "1",
    "first": "1",
    "once": "1",
    "single": "1",
    "second": "2",
    "both": "2",
    "couple": "2",
    "double": "2",
    "doubled": "2",
    "duo": "2",
    "pair": "2",
    "twice": "2",
    "trio": "3",
    "triple": "3",
    "quarter": "4",
    "decade": "10",
    "dozen": "12",
    "century": "100",
}
SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "k": 10**3,
    "million": 10**6,
    "mn": 10**6,
    "mln": 10**6,
    "m": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "bln": 10**9,
    "b": 10**9,
    "trillion": 10**12,
    "tn": 10**12,
}
WORD_SCALES = {k: v for k, v in SCALES.items() if len(k) > 3} | {
    "dozen": 12,
    "decades": 10,
    "centuries": 100,
}
AFTER_MONEY = ("m", "b")  # "$5m" are millions and "5m" metres

# A character written as its code, as in "Yahoo&#39;s", also where the marks were lost on the way
# ("country 39s" in AG News).
CODES = re.compile(r"&?#x?[0-9a-f]{2,6};|(?<=[a-z] )39(?=(?:s|t|d|m|re|ve|ll)\b)", re.IGNORECASE)
DIGITS = re.compile(
    r"(?P<money>[$€£¥₹]\s?)?(?P<digits>\d+(?:[.,]\d+)*)"
    r"(?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|mn|mln|bn|bln|tn|k|m|b)"
    r"(?![^\W_]))?",
    re.IGNORECASE,
)
SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d.,])")  # in English two numbers
UNBROKEN = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")  # spaces that only group
DECADE = re.compile(r"(?<![\d.,])(?:19([1-9]0)|([1-9]0))['’]?s\b")  # 1970s, 70s
GROUPED = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?")  # 1,000 and the Indian 1,00,000
GROUPED_BY_POINTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?")
WORD = re.compile(r"[a-z]+")
ONE_NUMBER = re.compile(r"[\s-]*")  # between "twenty" and "five", "two" and "hundred"


def numbers_in(text: str) -> Numbers:
    """The numbers of a text, each in one written form: "1,000" and "one thousand" as "1000".

    A unit, a sign, an ordinal's ending and the digits' script make no difference, and a scale
    ("3.5 million", "$3.5m", "10k") counts. Dates and versions ("1.2.3") stay as they are. English
    number words are known up to ninety-nine, and with a scale; "two hundred and fifty" is read as
    200 and 50. "3.500" is three and a half, as in English.
    """
    plain = CODES.sub(" ", _plain_digits(text))
    said, possible = _in_digits(plain)
    worded, loose = _in_words(plain.casefold())
    said |= worded
    return Numbers(frozenset(said), frozenset(said | possible | loose))


def _plain_digits(text: str) -> str:
    """With the digits of every script as 0 to 9, and ½ as 1/2."""
    if text.isascii():
        return text
    return UNBROKEN.sub("", "".join(map(_plain_digit, text)))


def _plain_digit(character: str) -> str:
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    if unicodedata.decomposition(character).startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    return character


def _in_digits(text: str) -> tuple[set[str], set[str]]:
    """What is said, and other readings: "2000" of "1 and 2 thousand" may also be the 2."""
    said: set[str] = set()
    possible: set[str] = set()
    for found in SPACED.finditer(text):
        possible.add(_canonical(found[0].replace(" ", "")))
    for found in DECADE.finditer(text):
        years = found[1] or found[2]
        possible |= {years, f"19{years}"}
    for found in DIGITS.finditer(text):
        scale = (found["scale"] or "").lower()
        written = _written(found["digits"])
        if scale and len(written) == 1 and (scale not in AFTER_MONEY or found["money"]):
            possible |= set(written)
            written = [_scaled(number, SCALES[scale]) for number in written]
        said |= set(written)
    return said, possible


def _written(digits: str) -> list[str]:
    if GROUPED.fullmatch(digits):
        return [_canonical(digits.replace(",", ""))]
    if GROUPED_BY_POINTS.fullmatch(digits):
        return [_canonical(digits.replace(".", "").replace(",", "."))]
    if digits.count(".") > 1:
        return [digits]  # a version or a date
    if digits.count(",") == 1 and "." not in digits:
        return [_canonical(digits.replace(",", "."))]
    return [_canonical(part) for part in digits.split(",")]


def _canonical(digits: str) -> str:
    whole, _, behind = digits.partition(".")
    behind = behind.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{behind}" if behind else "")


def _scaled(number: str, scale: int) -> str:
    return _canonical(f"{Decimal(number) * scale:f}") if len(number) <= 20 else number


def _in_words(text: str) -> tuple[set[str], set[str]]:
    """What is said, and what may be meant."""
    said: set[str] = set()
    possible: set[str] = set()
    words = list(WORD.finditer(text))
    i = 0
    while i < len(words):
        word = words[i][0]
        ahead = _ahead(text, words, i)
        value, used = UNITS.get(word, TENS.get(word, 0)), 1
        if word in TENS and 0 < (unit := BEHIND_TENS.get(ahead, 0)) < 10:
            value, used = value + unit, 2
            ahead = _ahead(text, words, i + 1)
        if value and ahead in WORD_SCALES:
            possible.add(str(value))
            value, used = value * WORD_SCALES[ahead], used + 1
        elif word in LOOSE:
            possible.add(LOOSE[word])
            value = 0
        elif word in WORD_SCALES:
            possible.add(str(WORD_SCALES[word]))
        if value:
            said.add(str(value))
        i += used
    return said, possible


def _ahead(text: str, words: list[re.Match[str]], i: int) -> str:
    """The word behind word i, where nothing but a space or a hyphen parts the two."""
    if i + 1 == len(words):
        return ""
    between = text[words[i].end() : words[i + 1].start()]
    return words[i + 1][0] if ONE_NUMBER.fullmatch(between) else ""
