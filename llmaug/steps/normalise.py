"""`normalise`: the noise of attackers and of careless writers undone, without a model."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from llmaug.plan import Context, Step
from llmaug.steps.respell import in_usual_case, without_leet, without_repeats, without_spacing
from llmaug.text import Text

MOST_PASSES = 12

# What stays letter for letter. An address ends where escaped markup begins.
ADDRESS = r"(?:https?://|www\.)(?:(?!&(?:lt|gt|quot|#\d))[^\s<>\"])+"
URL = re.compile(f"({ADDRESS})", re.IGNORECASE)
PROTECTED = re.compile(
    rf"({ADDRESS}|[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+"
    r"|(?<![\w@#$])@\w+|(?<![\w@#])\#(?=\w*[^\W\d])\w+)",
    re.IGNORECASE,
)

# The standard also reads "&not" and "&copy" without the semicolon, inside words at that.
ENTITY = re.compile(
    r"&(?:(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z]\w{1,31});|(?:amp|lt|gt|quot|nbsp)(?![\w;=]))",
    re.IGNORECASE,
)
ESCAPED_AMPERSAND = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+", re.IGNORECASE)
# Entities that lost their "&", as in AG News: "It #39;s", " quot;".
BARE_ENTITY = re.compile(r"(?<![&\w])(#39|#34|#36|#151|quot|amp|lt|gt|nbsp);")
BARE_APOSTROPHE = re.compile(r"(?<=[\w.]) ?&?#39;(?=(?:s|t|re|ve|ll|d|m)\b)")
_ATTRIBUTES = r"(?:\s+[a-z-]{1,20}\s*=[^<>]{0,300})?\s*/?>"
BLOCK_TAG = re.compile(
    rf"</?(?:br|p|div|li|ul|ol|h[1-6]|hr|table|tr|td|blockquote|img){_ATTRIBUTES}", re.IGNORECASE
)
INLINE_TAG = re.compile(
    rf"</?(?:a|b|i|u|s|em|strong|span|font|sup|sub|tt|code){_ATTRIBUTES}", re.IGNORECASE
)

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Soft hyphen, zero-width characters (U+200B where no script of South-East Asia needs it), the
# joiners inside Latin words (emoji, Persian and Hindi need theirs), and invisible tag letters.
INVISIBLE = re.compile(
    r"[\u00ad\u034f\u180e\u2060-\u2064\ufeff]"
    r"|(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b"
    r"|(?<=[A-Za-z])[\u200c\u200d]+(?=[A-Za-z])"
    r"|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
)
DIRECTION = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Letters and digits in fancy dress: full-width, mathematical, circled, squared, ligatures. The
# rest of NFKC is left out: it would turn "，" into ",", "½" into "1⁄2" and "™" into "TM".
FANCY = re.compile(
    r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff\u24b6-\u24e9"
    r"\ufb00-\ufb06\U0001f130-\U0001f149\u2102\u210a-\u2113\u2115\u2119-\u211d\u2124"
    r"\u2128\u212c-\u2131\u2133\u2134]+"
)
_MARK = (
    r"\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20dc\u20e5-\u20f0\ufe20-\ufe2f"
)
MARKED = re.compile(rf"([^\W\d_])([{_MARK}]+)")
STRAY_MARKS = re.compile(rf"(?<![^\W\d_{_MARK}])[{_MARK}]{{2,}}")
# Grave, acute, circumflex, tilde, macron, breve, dots, ring, caron, the marks below, cedilla.
ACCENTS = frozenset(
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0325\u0327\u0328\u0331"
)

# Letters that look like Latin ones, Cyrillic and Greek.
CYRILLIC = dict(
    zip("асеорхуіјѕһԁԛԝкАВСЕНІЈКМОРЅТХУ", "aceopxyijshdqwkABCEHIJKMOPSTXY", strict=True)
)
GREEK = dict(zip("αεικνορυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeikvopuxABEZHIKMNOPTYX", strict=True))
LOOKALIKES = str.maketrans({**CYRILLIC, **GREEK})
MIXED = re.compile(r"[A-Za-z\u0370-\u052f]+")
ASCII_LETTER = re.compile(r"[A-Za-z]")
FOREIGN = re.compile(r"[\u0370-\u052f]")

SPACES = re.compile(r"[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f]+")
BREAKS = re.compile(r" ?(?:\r\n?|[\n\v\f\u2028\u2029]) ?")


@dataclass(frozen=True, repr=False)
class Normalise(Step):
    """Each text with the noise undone that hides words from a classifier; see `normalised`.

    One variant a text. A text in which nothing changes but white space is dropped as "unchanged",
    one of which nothing is left as "empty".
    """

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        variants = []
        for text in texts:
            plain = normalised(text.text)
            variant = text.derive(plain, made_by=str(self), id=f"{text.id}/normalise")
            if plain.split() == text.text.split():
                ctx.drop(variant, "unchanged")
            elif not plain:
                ctx.drop(variant, "empty")
            else:
                variants.append(variant)
        return variants


def normalised(text: str) -> str:
    """A text without noise; doing it again changes nothing.

    Undone are HTML entities and tags, invisible and control characters, letters in fancy dress,
    stacked accents, Cyrillic and Greek look-alikes in Latin words, leetspeak, letters spaced out,
    odd capitals, repeated letters and marks, and odd white space. Addresses, @names and #tags
    stay, and so do texts in other scripts. Where one repair uncovers the next ("&amp;lt;"), the
    passes go on until nothing changes; a text that is not done after 12 comes back as it was.
    """
    before = text
    for _ in range(MOST_PASSES):
        after = _once(before)
        if after == before:
            return after
        before = after
    return text


def _once(text: str) -> str:
    text = _in_pieces(text, URL, _unescaped)
    text = INLINE_TAG.sub("", BLOCK_TAG.sub(" ", text))
    text = _in_pieces(text, PROTECTED, _repaired)
    return BREAKS.sub("\n", SPACES.sub(" ", text)).strip()


def _in_pieces(text: str, protected: re.Pattern[str], change: Callable[[str], str]) -> str:
    pieces = protected.split(text)  # every second one is protected
    return "".join(piece if i % 2 else change(piece) for i, piece in enumerate(pieces))


def _unescaped(text: str) -> str:
    if ";" not in text and "&" not in text:
        return text
    text = ESCAPED_AMPERSAND.sub("&", text)
    text = BARE_APOSTROPHE.sub("'", text)
    text = BARE_ENTITY.sub(r"&\1;", text)
    return ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def _repaired(text: str) -> str:
    for repair in REPAIRS:
        text = repair(text)
    return text


def visible(text: str) -> str:
    """Without characters that nobody sees; marks of direction stay beside Arabic and Hebrew."""
    if text.isascii() and text.isprintable():
        return text
    text = INVISIBLE.sub("", CONTROL.sub("", text))
    return text if RIGHT_TO_LEFT.search(text) else DIRECTION.sub("", text)


def in_plain_letters(text: str) -> str:
    """Letters out of their fancy dress and without stacked marks; ordinary accents stay."""
    if text.isascii():
        return text
    text = FANCY.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    return STRAY_MARKS.sub("", MARKED.sub(_accented, text))


def _accented(found: re.Match[str]) -> str:
    """A letter and its marks, composed; alone when a mark is no accent or is one too many."""
    letter, marks = found[1], found[2]
    if len(marks) > 4:
        return letter
    composed = unicodedata.normalize("NFC", found[0])
    return composed if len(composed) == 1 or composed[1:] in ACCENTS else letter


def in_one_script(text: str) -> str:
    """Latin look-alikes for Cyrillic and Greek letters inside words that are otherwise Latin.

    Only in texts that are mostly Latin ("SMSок" is Russian). Greek ones only between Latin
    letters, since science writes "TNFα" and "μm".
    """
    if text.isascii() or len(FOREIGN.findall(text)) >= len(ASCII_LETTER.findall(text)):
        return text
    return MIXED.sub(_latin, text)


def _latin(found: re.Match[str]) -> str:
    word = found[0]
    latin = [letter.isascii() for letter in word]
    changed = word.translate(LOOKALIKES)
    greek = any(letter in GREEK for letter in word)
    inside = latin[0] and latin[-1]
    return changed if any(latin) and changed.isascii() and (inside or not greek) else word


REPAIRS: tuple[Callable[[str], str], ...] = (
    visible,
    in_plain_letters,
    in_one_script,
    without_spacing,
    without_leet,
    in_usual_case,
    without_repeats,
)
