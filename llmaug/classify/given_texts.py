"""Texts as callers give them: strings, numbered, or texts with ids of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmaug.errors import TextError
from llmaug.text import Text

TOGETHER = 1024  # texts that are decided in one go


def as_texts(texts: Iterable[str | Text]) -> list[Text]:
    """The texts with their ids, or numbered from 0; `TextError` for anything else."""
    return [text for some in together(texts) for text in some]


def together(texts: Iterable[str | Text]) -> Iterator[list[Text]]:
    """The same, so many at a time as are decided in one go."""
    if isinstance(texts, str | Text):
        raise TextError("texts must be a list; for one text write [text]")
    some: list[Text] = []
    for number, text in enumerate(texts):
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
