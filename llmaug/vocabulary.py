"""The closed set of names that a plan may use: the steps and the methods of the literature."""

from __future__ import annotations

from collections.abc import Callable

from llmaug import notation
from llmaug.methods.documents import doc2query
from llmaug.methods.queries import hyde, keywords
from llmaug.methods.rewrite import back_translate, formalise, icr, paraphrase, simplify
from llmaug.plan import Step
from llmaug.steps.clean import Clean as clean
from llmaug.steps.edit import Edit as edit
from llmaug.steps.filters import Dedupe as dedupe
from llmaug.steps.filters import Length as length
from llmaug.steps.filters import Similar as similar
from llmaug.steps.generate import Generate as generate
from llmaug.steps.join import Join as join
from llmaug.steps.keep import Keep as keep
from llmaug.steps.passages import Passages as passages
from llmaug.steps.roundtrip import Roundtrip as roundtrip
from llmaug.steps.stored import Stored as stored

__all__ = [
    "METHODS",
    "NAMES",
    "STEPS",
    "back_translate",
    "clean",
    "dedupe",
    "doc2query",
    "edit",
    "formalise",
    "generate",
    "hyde",
    "icr",
    "join",
    "keep",
    "keywords",
    "length",
    "paraphrase",
    "parse",
    "passages",
    "roundtrip",
    "similar",
    "simplify",
    "stored",
]

STEPS: dict[str, Callable[..., Step]] = {
    "clean": clean,
    "dedupe": dedupe,
    "edit": edit,
    "generate": generate,
    "join": join,
    "keep": keep,
    "length": length,
    "passages": passages,
    "roundtrip": roundtrip,
    "similar": similar,
    "stored": stored,
}
METHODS: dict[str, Callable[..., Step]] = {
    "back_translate": back_translate,
    "doc2query": doc2query,
    "formalise": formalise,
    "hyde": hyde,
    "icr": icr,
    "keywords": keywords,
    "paraphrase": paraphrase,
    "simplify": simplify,
}
NAMES = {**STEPS, **METHODS}


def parse(text: str | Step) -> Step:
    """The plan that a text says: `parse(str(p)) == p`. A plan is returned as it is.

    Raises `PlanError` naming the accepted names, with close matches.
    """
    return text if isinstance(text, Step) else notation.parse(text, NAMES)
