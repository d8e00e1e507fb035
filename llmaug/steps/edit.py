"""`edit`: the classic augmentations that need no language model."""

from __future__ import annotations

import hashlib
import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass, replace

from llmaug.errors import PlanError, did_you_mean
from llmaug.plan import Context, Step
from llmaug.text import Text

QWERTY = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, repr=False)
class Edit(Step):
    """`n` noisy copies of each text, the baselines that a language model has to beat.

    `rate` is the share of words (swap, delete, duplicate, case) or of letters (typo, keyboard)
    that change: at least one where the text allows it, none at 0. A text that allows none (one
    word to swap, no Latin letter to mistype) comes back unchanged. Words are what white space
    separates; the white space itself stays.

    - swap, delete: random swap and random deletion of EDA (Wei & Zou, EMNLP 2019). Departures:
      the number of deleted words is fixed instead of a coin toss per word, and one word stays.
    - duplicate: a word is said twice; stands in for EDA's random insertion, which needs a
      thesaurus.
    - typo: insert, delete, replace a letter or swap two, as in TextFlint's Typos (Wang et al.,
      ACL 2021) and the swap noise of Belinkov & Bisk (ICLR 2018).
    - keyboard: a letter becomes its neighbour on a QWERTY keyboard (Belinkov & Bisk's "keyboard
      typo"; nlpaug's KeyboardAug).
    - case: a word in upper, lower or title case, as TextFlint's WordCase.

    A copy depends on the seed, the kind, the rate, the text and its own number alone, so a larger
    `n` adds copies and changes none.
    """

    kind: str
    rate: float = 0.1
    n: int = 1

    def check(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise PlanError(
                f"{self}: unknown kind {self.kind!r}; " + did_you_mean(str(self.kind), KINDS)
            )
        if (
            isinstance(self.rate, bool)
            or not isinstance(self.rate, int | float)
            or not 0 <= self.rate <= 1
        ):
            raise PlanError(f"{self}: rate must be a number from 0 to 1")
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 1 <= self.n <= 10_000:
            raise PlanError(f"{self}: n must be a whole number from 1 to 10,000")

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [
            text.derive(
                self._copy(text.text, ctx.seed, i), made_by=str(self), id=f"{text.id}/edit.{i}"
            )
            for text in texts
            for i in range(self.n)
        ]

    def _copy(self, text: str, seed: int, number: int) -> str:
        if self.rate == 0:
            return text
        key = "\x1f".join((str(replace(self, n=1)), str(seed), str(number), text))
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        return KINDS[self.kind](text, self.rate, random.Random(int.from_bytes(digest, "big")))


def _count(rate: float, units: int) -> int:
    return max(1, round(rate * units))


def _split(text: str) -> tuple[list[str], list[str]]:
    """The words, and the white space before, between and after them (one more than words)."""
    return re.findall(r"\S+", text), re.split(r"\S+", text)


def _joined(words: list[str], gaps: list[str]) -> str:
    return gaps[0] + "".join(word + gap for word, gap in zip(words, gaps[1:], strict=True))


def swap_words(text: str, rate: float, draw: random.Random) -> str:
    """Two different words trade places, again and again."""
    words, gaps = _split(text)
    original = list(words)
    if len(set(words)) < 2:
        return text
    swaps = _count(rate, len(words))
    # Later swaps can undo earlier ones; one more then changes the text for sure.
    while swaps > 0 or words == original:
        a, b = draw.sample(range(len(words)), 2)
        if words[a] != words[b]:
            words[a], words[b] = words[b], words[a]
            swaps -= 1
    return _joined(words, gaps)


def delete_words(text: str, rate: float, draw: random.Random) -> str:
    """Words disappear, each with the white space behind it; one always stays."""
    words, gaps = _split(text)
    if len(words) < 2:
        return text
    gone = set(draw.sample(range(len(words)), min(_count(rate, len(words)), len(words) - 1)))
    kept = [i for i in range(len(words)) if i not in gone]
    inner = [gaps[i + 1] for i in kept[:-1]]
    return _joined([words[i] for i in kept], [gaps[0], *inner, gaps[-1]])


def duplicate_words(text: str, rate: float, draw: random.Random) -> str:
    """Words are said twice."""
    words, gaps = _split(text)
    if not words:
        return text
    twice = set(draw.sample(range(len(words)), min(_count(rate, len(words)), len(words))))
    return _joined([f"{word} {word}" if i in twice else word for i, word in enumerate(words)], gaps)


def change_case(text: str, rate: float, draw: random.Random) -> str:
    """Words change to upper, lower or title case, never to the case that they have."""
    words, gaps = _split(text)
    others = {
        i: changed
        for i, word in enumerate(words)
        if (changed := sorted({word.upper(), word.lower(), word.capitalize()} - {word}))
    }
    for i in draw.sample(sorted(others), min(_count(rate, len(words)), len(others))):
        words[i] = draw.choice(others[i])
    return _joined(words, gaps)


def mistype(text: str, rate: float, draw: random.Random) -> str:
    """Letters are inserted, deleted, replaced, or swapped with the next one."""
    letters = [i for i, character in enumerate(text) if character.isalpha()]
    if not letters:
        return text
    own = sorted({text[i].lower() for i in letters})
    cells = list(text)
    left = len(letters)
    for i in sorted(draw.sample(letters, min(_count(rate, len(letters)), len(letters)))):
        left -= _typo(cells, i, own, draw, may_delete=left > 1)
    changed = "".join(cells)
    if changed == text:  # typos side by side can undo each other
        i = draw.choice(letters)
        return f"{text[:i]}{text[i]}{text[i:]}"
    return changed


def _typo(
    cells: list[str], i: int, own: list[str], draw: random.Random, *, may_delete: bool
) -> int:
    """One typo at cell i; 1 when it removed the letter there, else 0."""
    letter = cells[i]
    # The text's own letters keep a text in another script in that script.
    pool = [c for c in (string.ascii_lowercase if letter.isascii() else own) if c != letter.lower()]
    after = cells[i + 1] if i + 1 < len(cells) else ""
    ways = ["insert"] + ["replace"] * bool(pool) + ["delete"] * may_delete
    if after.isalpha() and after != letter:
        ways.append("swap")
    way = draw.choice(ways)
    if way == "swap":
        cells[i], cells[i + 1] = after, letter
    elif way == "delete":
        cells[i] = ""
    elif way == "replace":
        cells[i] = _as(draw.choice(pool), letter)
    else:
        cells[i] = letter + _as(draw.choice(pool or own), letter)
    return int(way == "delete")


def _neighbours() -> dict[str, str]:
    """The letters beside, above and below each letter of a QWERTY keyboard."""
    keys = {
        letter: (row, column + row / 2)
        for row, letters in enumerate(QWERTY)
        for column, letter in enumerate(letters)
    }
    return {
        a: "".join(
            b
            for b, (row_b, at_b) in keys.items()
            if b != a and abs(row_a - row_b) <= 1 and abs(at_a - at_b) <= 1
        )
        for a, (row_a, at_a) in keys.items()
    }


NEIGHBOURS = _neighbours()


def hit_next_key(text: str, rate: float, draw: random.Random) -> str:
    """Letters become a neighbour on the keyboard, in the same case."""
    cells = list(text)
    letters = [i for i, character in enumerate(text) if character.lower() in NEIGHBOURS]
    for i in draw.sample(letters, min(_count(rate, len(letters)), len(letters))):
        cells[i] = _as(draw.choice(NEIGHBOURS[cells[i].lower()]), cells[i])
    return "".join(cells)


def _as(letter: str, model: str) -> str:
    return letter.upper() if model.isupper() else letter


KINDS: dict[str, Callable[[str, float, random.Random], str]] = {
    "swap": swap_words,
    "delete": delete_words,
    "duplicate": duplicate_words,
    "typo": mistype,
    "keyboard": hit_next_key,
    "case": change_case,
}
