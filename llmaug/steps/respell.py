"""Undoing the disguises of words: leetspeak, spaced letters, odd capitals, repeated letters.

The functions look at words of Latin letters alone and prefer to miss a disguise over spoiling a
word: "mp3", "b2b", "1st", "covid19", "iPhone", "NASA", "e.g." and "www" are no disguises. They
take the text between addresses and names (see `normalise`), need time that grows with its length
alone, and know English best.
"""

from __future__ import annotations

import re
from itertools import pairwise

LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"

# Leetspeak: what a sign inside a word stands for. 1 may be an i or an l, see `_one`; 2, 6, 8 and 9
# are left out, since "b2b", "k8s" and "i18n" are commoner than what they hide.
LEET = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
LEET_WORD = re.compile(
    r"(?<![^\s\"'(\[“‘])"
    r"(\$(?=[a-z]{3})|[A-Za-z])[a-z]*(?:([013457@$!])\2?[a-z]+)*(?:\$\$)?"
    r"(?![\w@$])(?!\.\w)"
)
NO_LEET = frozenset(("log4j", "log4net", "log4js", "s3cmd", "py3k", "c3po", "h5py", "web3js"))
SIGNS = re.compile(r"[013457@$!]")
PLURAL = re.compile(r"\d+s\Z")  # "mp3s", "ps4s"

# Letters spelled out: at least four, with the same sign between all of them.
SPACED = re.compile(r"(?<![^\s\"'(“‘])[A-Za-z]([ .*_-])[A-Za-z](?:\1[A-Za-z]){2,}(?![\w'’.])")

# Letters that English words double; of any other one is left of a run ("haaate", "whyyy").
DOUBLED = frozenset("bcdefglmnoprstz")
DOUBLE_END = frozenset(
    (
        "too",
        "woo",
        "boo",
        "zoo",
        "see",
        "free",
        "tree",
        "three",
        "bee",
        "knee",
        "agree",
        "wee",
        "fee",
        "flee",
        "glee",
        "gee",
        "coffee",
    )
)
KEPT_RUNS = frozenset(("www", "xxx"))
REPEATED = re.compile(rf"([{LATIN}])\1{{2,}}", re.IGNORECASE)
WORD = re.compile(rf"(?<![^\W_])[{LATIN}]+(?![^\W_])")
SENTENCE = re.compile(r"[^.!?\n]+")
_SHOUT = "[A-ZÀ-ÖØ-Þ]+"
SHOUTED_RUN = re.compile(rf"(?<![^\W_]){_SHOUT}(?:[ '’-]+{_SHOUT})*(?![^\W_])")
LETTERS = re.compile(r"[^\W\d_]+")
LONGEST_ACRONYM = 5
ACRONYMS = frozenset(
    ("LGBTQI", "LGBTQIA", "MERCOSUR", "NASCAR", "NASDAQ", "OPENGL", "UNESCO", "UNICEF", "UNPROFOR")
)
# "TORONTO, Canada", "JAKARTA (Reuters)", "LONDON - Shares": where a report was written.
DATELINE = re.compile(r"[,;]? (?:\(|-)|, [A-Z]")


def without_leet(text: str) -> str:
    """Signs inside a word as the letters that they look like: "h4te", "$tupid", "g00d", "cla$$".

    Only in words with three other letters (two beside a doubled sign) in lower case but for the
    first. Digits at either end stay ("4th", "mp3").
    """
    return LEET_WORD.sub(_unleet, text)


def _unleet(found: re.Match[str]) -> str:
    word = found[0]
    signs = SIGNS.findall(word)
    letters = len(word) - len(signs)
    doubled = any(a == b for a, b in pairwise(signs))
    if (
        not signs
        or letters < 3 - doubled
        or word.lower() in NO_LEET
        or PLURAL.search(word)
        or (letters == 2 and not set(word) & set("0$"))  # "a11y", "l10n"
        or (letters == 2 and "1" in word)
    ):
        return word
    for sign in "@!":
        before, at, behind = word.partition(sign)
        if at and _has_vowel(before) and (sign == "!" or _has_vowel(behind)):
            return word  # "lunch@home", "stop!now"
    return "".join(_one(word, i) if sign == "1" else LEET.get(sign, sign)
                   for i, sign in enumerate(word))  # fmt: skip


def _one(word: str, i: int) -> str:
    """The letter that a 1 stands for: "ki11", "he1p" and "b1ack", but "stup1d"."""
    before, behind = word[i - 1], word[i + 1]
    if "1" in (before, behind):
        return "l"
    if _has_vowel(before):
        return "i" if _has_vowel(behind) else "l"
    return "l" if i == 1 and _has_vowel(behind) else "i"


def _has_vowel(letters: str) -> bool:
    return not set("aeiouy").isdisjoint(letters.lower())


def without_spacing(text: str) -> str:
    """Letters that are spaced or dotted out as one word: "h a t e", "s.t.u.p.i.d"."""
    return SPACED.sub(_joined, text)


def _joined(found: re.Match[str]) -> str:
    sign, letters = found[1], found[0][::2]
    alphabet = all(ord(b) - ord(a) == 1 for a, b in pairwise(letters))
    acronym = sign == "." and letters.isupper()  # "U.N.E.S.C.O"
    same_case = letters.islower() or letters.isupper() or letters[1:].islower()
    plain = _has_vowel(letters) and same_case and not alphabet and not acronym
    return letters if plain else found[0]


def without_repeats(text: str) -> str:
    """Runs of three and more letters as two or one, "!!!" as one, "?!?!" as "?!".

    Two where English doubles the letter ("cooool", "realllly"), else one ("haaate"); an o or e at
    the end is one ("soooo", "pleaseee") but in a few words ("seee"). "AAA", "III" and "www" stay.
    """
    if REPEATED.search(text):
        text = WORD.sub(_shortened, text)
    text = re.sub(r"([!?])\1+", r"\1", text)
    text = re.sub(r"(?:\?!|!\?)(?:[?!])*", "?!", text)
    return re.sub(r"\.{4,}", "...", text)


def _shortened(found: re.Match[str]) -> str:
    word = found[0]
    if (len(word) <= 3 and word.isupper()) or word.lower() in KEPT_RUNS or _is_roman(word):
        return word
    ends = ""
    tail = REPEATED.search(word, max(0, len(word.rstrip(word[-1].lower() + word[-1].upper()))))
    if tail and word[-1] in "oeOE":
        stem = word[: tail.start()]
        doubled = REPEATED.sub(_run, stem) + 2 * word[-1]
        word, ends = stem, doubled[-2:] if doubled.lower() in DOUBLE_END else word[-1]
    return REPEATED.sub(_run, word) + ends


def _run(found: re.Match[str]) -> str:
    return found[0][: 2 if found[1].lower() in DOUBLED else 1]


def _is_roman(word: str) -> bool:
    return word.isupper() and set(word) <= set("IVXLCM") and len(word) <= 8


def in_usual_case(text: str) -> str:
    """Shouted and mocking capitals as in an ordinary sentence.

    - a sentence of three words and more in capitals alone becomes a sentence with a first capital;
    - "ThIs iS sO" becomes lower case, where a third of the words are of that kind and two at
      least, and so does a single word of six letters that alternate;
    - words in capitals side by side in an ordinary sentence become lower case when one of them has
      six letters or there are four; shorter ones may be acronyms and stay. "LOS ANGELES (Reuters)"
      keeps its first capitals.
    """
    return SENTENCE.sub(_calm, text)


def _calm(found: re.Match[str]) -> str:
    sentence = found[0]
    words = LETTERS.findall(sentence)
    latin = [word for word in words if WORD.fullmatch(word)]
    shouted = [word for word in latin if word.isupper() and len(word) > 1]
    if len(latin) == len(words) and len(shouted) >= 3 and all(word.isupper() for word in words):
        return _sentence_case(sentence)
    mocking = {word for word in latin if _alternates(word)}
    many = [word for word in latin if word in mocking]
    if len(many) >= 2 and 3 * len(many) >= len(latin):
        return _sentence_case(sentence)
    if not shouted and not mocking:
        return sentence
    sentence = WORD.sub(
        lambda word: word[0].lower() if _alternates(word[0], least=6) else word[0], sentence
    )
    opening = len(sentence) - len(sentence.lstrip(" \"'“‘(*"))
    return SHOUTED_RUN.sub(lambda run: _calm_run(run, opening), sentence)


def _calm_run(found: re.Match[str], opening: int) -> str:
    words = LETTERS.findall(found[0])
    longest = max((len(word) for word in words if not _stays(word)), default=0)
    if longest <= LONGEST_ACRONYM and len(words) < 4:
        return found[0]
    if DATELINE.match(found.string, found.end()):
        return LETTERS.sub(lambda w: w[0] if _stays(w[0]) else w[0].capitalize(), found[0])
    calm = LETTERS.sub(lambda w: w[0] if _stays(w[0]) else w[0].lower(), found[0])
    return calm[0].upper() + calm[1:] if found.start() == opening else calm


def _stays(word: str) -> bool:
    return word == "I" or word in ACRONYMS or (_is_roman(word) and len(word) > 1)


def _alternates(word: str, least: int = 2) -> bool:
    """Whether small letters turn to capitals and back, nearly at every letter."""
    if len(word) < least or word.isupper() or word.islower() or word[1:].islower():
        return False
    changes = sum(a.isupper() != b.isupper() for a, b in pairwise(word))
    return changes >= (0.7 if least == 2 else 1) * (len(word) - 1)


def _sentence_case(sentence: str) -> str:
    lowered = re.sub(r"(?<![^\W_])i(?![^\W_])", "I", sentence.lower())
    return LETTERS.sub(lambda word: word[0][0].upper() + word[0][1:], lowered, count=1)
