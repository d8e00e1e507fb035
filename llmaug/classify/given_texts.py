"""Texts as callers give them: strings, numbered, or texts with ids of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmaug.errors import TextError
from llmaug.plan import Step, walk
from llmaug.steps.stored import Stored
from llmaug.text import Text

TOGETHER = 1024  # texts that are decided in one go


def looks_up_ids(plan: Step) -> bool:
    """Whether a plan finds rewrites by the ids of texts."""
    return any(isinstance(step, Stored) for step in walk(plan))


def as_texts(texts: Iterable[str | Text], *, with_ids: bool = False) -> list[Text]:
    """The texts with their ids, or numbered from 0; `TextError` for anything else."""
    return [text for some in together(texts, with_ids=with_ids) for text in some]


def together(texts: Iterable[str | Text], *, with_ids: bool = False) -> Iterator[list[Text]]:
    """The same, so many at a time as are decided in one go; `with_ids` refuses plain strings."""
    if isinstance(texts, str | Text):
        raise TextError("texts must be a list; for one text write [text]")
    some: list[Text] = []
    for number, text in enumerate(texts):
        if isinstance(text, str) and with_ids:
            raise TextError(
                "stored(…) looks texts up by their ids, and a string has none: give "
                "llmaug.Text(text, id, id), or read(FILE)"
            )
        if isinstance(text, str):
            text = Text(str(text), str(number), str(number))
        elif not isinstance(text, Text):
            raise TextError(f"text {number} is a {type(text).__name__}, not a string or a Text")
        some.append(text)
        if len(some) == TOGETHER:
            yield some
            some = []
    if some:
        yield some
