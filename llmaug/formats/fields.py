"""The text and the id among the fields of a row, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmaug.errors import did_you_mean
from llmaug.formats.source import Fault

SHOWN, LONGEST = 12, 60  # names in a message, and characters of a name or id in it
SURE = 2.0**53  # a float stands for one number only below this


def text_fault(row: Mapping[str, Any], name: str) -> Fault:
    """Why the field holds no text."""
    if name not in row:
        return Fault("missing field", lacking(name, row))
    text = row[name]
    if not isinstance(text, str):
        return Fault("not a text", f"the field {name!r} holds {kind(text)}, not a string")
    return Fault("empty text", f"the text in {name!r} is empty")


def id_in(row: Mapping[str, Any], name: str) -> str | Fault:
    """The id that the field holds, a number as a string, or why it holds none."""
    if name not in row:
        return Fault("missing field", lacking(name, row))
    id = row[name]
    if isinstance(id, str):
        return id or Fault("bad id", f"the id in {name!r} is empty")
    if isinstance(id, float) and not abs(id) < SURE:
        return Fault(
            "bad id", f"the id in {name!r} has more digits than a number keeps; write it in quotes"
        )
    if isinstance(id, bool) or not isinstance(id, int | float):
        return Fault("bad id", f"the field {name!r} holds {kind(id)}, not a string or a number")
    return str(id)


def lacking(name: str, names: Iterable[str]) -> str:
    """That a field is absent, which ones there are, and which of them may be meant."""
    names = list(names)
    if not names:
        return f"no field {name!r}: the row is empty"
    listed = ", ".join(map(short, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
    hint = did_you_mean(name, names[:1000])
    close = f"; {hint}" if hint.startswith("did") and len(hint) < 200 and hint.isprintable() else ""
    return f"no field {short(name)!r}; the fields are {listed}{close}"


def short(name: str) -> str:
    """A name or id from a file, fit for a message of one line."""
    name = name if len(name) <= LONGEST else name[:LONGEST] + "…"
    return name if name.isprintable() else ascii(name)


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
        type(None): "null",
    }
    return names.get(type(value), "bytes" if isinstance(value, bytes) else type(value).__name__)
