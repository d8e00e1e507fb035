"""Filters: `dedupe`, `similar` and `length` judge variants and let inputs pass."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.text import Text

# Only what ends a sentence or wraps it: "C#" and "C" are different texts.
PUNCTUATION = " .,;:!?…\"'`“”„‘’‚«»‹›()[]*_-–—。、！？"

# Scripts that are written without spaces count every character as a word.
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


@dataclass(frozen=True, repr=False)
class Dedupe(Step):
    """Drop a variant that says the same as the input or as an earlier text, letter for letter.

    Case, white space, punctuation at the ends and Unicode's compatibility forms (full-width
    letters, ligatures) make no difference. Near-duplicates are the business of `similar(max=…)`.
    """

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        seen = {normalised(ctx.root.text)}
        kept = []
        for text in texts:
            key = normalised(text.text)
            if text.made_by and key in seen:
                ctx.drop(text, "duplicate")
            else:
                kept.append(text)
                seen.add(key)
        return kept


def normalised(text: str) -> str:
    """What two texts have in common when they differ in looks alone."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    spaced = " ".join(folded.split())
    return spaced.strip(PUNCTUATION) or spaced


@dataclass(frozen=True, repr=False)
class Similar(Step):
    """Keep the variants whose embedding has a cosine from `min` to `max` with the input's.

    Survivors carry it as the field `similarity`, rounded to four places, which is also what is
    compared. The meaning of a number depends on the embedder: look at a few before choosing.
    """

    gives = frozenset({"similarity"})
    uses = frozenset({"embedder"})

    min: float | None = None
    max: float | None = None

    def check(self) -> None:
        _check_bounds(self, "min", self.min, "max", self.max, least=-1, most=1)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        variants = [text for text in texts if text.made_by]
        if not variants:
            return texts
        vectors = await ctx.embed([ctx.root.text, *(text.text for text in variants)])
        cosines = iter((vectors[1:] @ vectors[0]).tolist())
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            similarity = round(float(next(cosines)), 4)
            reason = _outside(similarity, self.min, self.max)
            if reason:
                ctx.drop(text, f"similar{reason}")
            else:
                kept.append(text.with_meta(similarity=similarity))
        return kept


@dataclass(frozen=True, repr=False)
class Length(Step):
    """Keep the variants that have from `min_ratio` to `max_ratio` times the input's words."""

    min_ratio: float | None = None
    max_ratio: float | None = None

    def check(self) -> None:
        _check_bounds(
            self, "min_ratio", self.min_ratio, "max_ratio", self.max_ratio, least=0, most=math.inf
        )

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        words = max(1, len(WORD.findall(ctx.root.text)))
        kept = []
        for text in texts:
            ratio = len(WORD.findall(text.text)) / words
            reason = _outside(ratio, self.min_ratio, self.max_ratio) if text.made_by else ""
            if reason:
                ctx.drop(text, f"length{reason}")
            else:
                kept.append(text)
        return kept


def _outside(value: float, least: float | None, most: float | None) -> str:
    """The bound that a value breaks, such as "<0.7"; "" when it breaks none. NaN breaks any."""
    if least is not None and not value >= least:
        return f"<{least}"
    if most is not None and not value <= most:
        return f">{most}"
    return ""


def _check_bounds(
    step: Step,
    low_name: str,
    low: float | None,
    high_name: str,
    high: float | None,
    *,
    least: float,
    most: float,
) -> None:
    if low is None and high is None:
        raise PlanError(f"{step}: give {low_name}, {high_name} or both")
    for name, value in ((low_name, low), (high_name, high)):
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not least <= value <= most
            or math.isinf(value)
        ):
            limits = f"from {least}" + ("" if math.isinf(most) else f" to {most}")
            raise PlanError(f"{step}: {name} must be a number {limits}")
    if low is not None and high is not None and low >= high:
        raise PlanError(f"{step}: {low_name} must be less than {high_name}")
