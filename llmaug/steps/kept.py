"""Filters on what a text states: its numbers, names and negations must survive."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.names import names_in, names_lost
from llmaug.steps.negations import negated
from llmaug.steps.numbers import numbers_in
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class NumbersKept(Step):
    """Drop a variant that lacks a number of the input, or has one of its own unless `new`.

    The reasons are "number lost" and "number added". Numbers are compared as a set: a rewrite
    that says once what the input says twice loses nothing. "1,000", "1000" and "one thousand"
    are one number, and "$3.5m" is 3500000; units and signs are not compared ("$5", "5 euros"),
    and two numbers that change places are not seen. "One", "first", "second", "both", "half" and
    the like are not missed, since they often count nothing. Number words are English, digits of
    every script are known, and Chinese or Roman numerals are not.
    """

    new: bool = False

    def check(self) -> None:
        _check_flag(self, self.new)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        kept = []
        for text in texts:
            reason = _number_changed(ctx.root.text, text.text, self.new) if text.made_by else ""
            if reason:
                ctx.drop(text, reason)
            else:
                kept.append(text)
        return kept


@dataclass(frozen=True, repr=False)
class EntitiesKept(Step):
    """Drop a variant that changes the numbers, loses a name, or loses or adds a negation.

    The reasons are "number lost", "number added" (as `numbers_kept` says, with `new`), "name
    lost", "negation lost" and "negation added"; a variant has the first that fits.

    Names are words with a capital letter that do not open a sentence; see `names_in`. A text all
    in lower case or in capitals, a headline, and a script without capitals have none that can be
    known; in German every noun is one. A name that changes its role, or that the variant
    invents, is not seen. A negation must have one in the variant and the other way round, where
    "lack", "unable", "-less" and the like pass for one. Antonyms cannot be told, so "not good"
    rewritten as "bad" is lost; nor can which of several statements is denied, nor a negation in
    another language than English.
    """

    new: bool = False

    def check(self) -> None:
        _check_flag(self, self.new)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        kept = []
        for text in texts:
            reason = _entity_changed(ctx.root.text, text.text, self.new) if text.made_by else ""
            if reason:
                ctx.drop(text, reason)
            else:
                kept.append(text)
        return kept


def _check_flag(step: Step, new: object) -> None:
    if not isinstance(new, bool):
        raise PlanError(f"{step}: new must be True or False")


def _number_changed(source: str, variant: str, new: bool) -> str:
    """What happened to the numbers of a source; "" when they are all there."""
    asked, found = numbers_in(source), numbers_in(variant)
    if asked.said - found.possible:
        return "number lost"
    return "number added" if not new and found.said - asked.possible else ""


def _entity_changed(source: str, variant: str, new: bool) -> str:
    """What happened to the numbers, names and negations of a source; "" when they are there."""
    if reason := _number_changed(source, variant, new):
        return reason
    if names_lost(names_in(source), variant):
        return "name lost"
    asked, found = negated(source), negated(variant)
    if asked.surely and not found.maybe:
        return "negation lost"
    return "negation added" if found.surely and not asked.maybe else ""
