"""Markdown of values that nobody vouches for: texts of a corpus, names, paths, settings."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 300  # characters of a quoted text
SPECIAL = re.compile(r"([\\`*_\[\]#|~$]|@(?=[A-Za-z]))")  # of Markdown, anywhere in a line
LINK = re.compile(r"(?i)(://|www\.)")  # GitHub makes links of these by itself
SECRET = re.compile(r"(?i)(api_?key|^key$|password|passwd|secret|credential|auth|access_?token)")
PLACE = re.compile(r"(?<![\w./])~?(?:/[^\s/'\",:;()]+)+/?")  # not the path of an address
USER = re.compile(r"(?<=://)[^/@\s]*@")


def escaped(text: str) -> str:
    """A text as one line of Markdown that shows it and does nothing, cut to its beginning."""
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    if len(text) > LONGEST:
        text = text[:LONGEST].rstrip() + "…"
    text = SPECIAL.sub(r"\\\1", html.escape(text, quote=False))
    return LINK.sub(lambda link: "".join(f"\\{c}" if c in ":/." else c for c in link[0]), text)


def placeless(text: str) -> str:
    """A text without absolute paths, of which the last part stays, and users in addresses."""
    return PLACE.sub(lambda path: path[0].rstrip("/").rsplit("/", 1)[-1], USER.sub("", text))


def model_name(name: str) -> str:
    """A short name or one on a hub as it is, and the last part of a path."""
    name = "".join(filter(str.isprintable, name))
    if re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        return name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or "model"


def titled(name: str) -> str:
    """The name of a model for a line of Markdown; underscores inside words need no escape."""
    short = model_name(name)
    return short if re.fullmatch(r"[A-Za-z0-9]+([._/-]+[A-Za-z0-9]+)*", short) else escaped(short)


def harmless(value: Any) -> Any:
    """Settings as JSON without absolute paths and without anything named like a secret."""
    if isinstance(value, Mapping):
        return {
            placeless(str(name)): harmless(one)
            for name, one in value.items()
            if not SECRET.search(str(name))
        }
    if isinstance(value, list | tuple):
        return [harmless(one) for one in value]
    return placeless(value) if isinstance(value, str) else value


def number(value: float | None, *, signed: bool = False) -> str:
    """A whole number with its thousands apart, another one with four digits."""
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def estimate(
    value: float, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> str:
    """A number and its interval: 0.6492 [0.6012, 0.6960]."""
    shown = number(value, signed=signed)
    if low is None or high is None:
        return shown
    return f"{shown} [{number(low, signed=signed)}, {number(high, signed=signed)}]"


def table(names: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table of cells that are Markdown already; after the first columns, `words`, of numbers."""
    rule = ["---"] * words + ["---:"] * (len(names) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rule, *rows))


def fenced(text: str, *, language: str = "") -> str:
    """A block of code that its own content cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
