"""Frozen dataclasses from YAML, refusing whatever is not exactly what a field takes."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from llmaug.errors import PlanError, did_you_mean
from llmaug.formats.fields import short
from llmaug.training.marked_yaml import Marked

Section = TypeVar("Section")
Readers = Mapping[Any, Callable[[Marked], Any]]
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}


class _Inherited(typing.TypedDict):
    """What holds for the sections inside a section too."""

    hidden: Collection[str]
    homes: Mapping[str, str]
    readers: Readers


def fields_of(
    given: Marked,
    kind: type[Section],
    *,
    section: str = "",
    hidden: Collection[str] = (),
    homes: Mapping[str, str] | None = None,
    readers: Readers | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Section:
    """The frozen dataclass that a mapping gives, each value of exactly the type its field says.

    A field is a number, a truth value, a text, a tuple of these, a mapping, another dataclass or
    one of several (`int | None`); `readers` reads further types. `section` names the mapping
    in messages. An unknown name, or one of the `hidden` fields, is refused with close matches, or,
    where `homes` knows the section it is a field of, with that. `defaults` stand in for fields not
    given. Raises `PlanError` with file and line, also for values that the dataclass refuses.
    """
    inherited = _Inherited(hidden=hidden, homes=homes or {}, readers=readers or {})
    if not isinstance(given.value, dict):
        raise PlanError(
            f"{given.where}: {section or 'the file'} is {shown(given)}; it is a mapping, lines "
            "such as `name: value`"
        )
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    known = fields.keys() - set(hidden)
    for name, one in given.value.items():
        if name not in known:
            raise PlanError(
                f"{one.where}: {_unknown(name, section, known=known, homes=inherited['homes'])}"
            )
    values = {
        name: _value(one, hints[name], _within(section, name), inherited=inherited)
        for name, one in given.value.items()
    }
    for name, field in fields.items():
        if _required(field) and name not in {**values, **(defaults or {})}:
            raise PlanError(f"{given.where}: {_within(section, name)} is missing")
    try:
        return kind(**{**(defaults or {}), **values})
    except PlanError as error:
        where = _blamed(given, str(error))
        raise PlanError(f"{where}: {section + ': ' if section else ''}{error}") from None


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _within(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name


def _unknown(name: str, section: str, *, known: Iterable[str], homes: Mapping[str, str]) -> str:
    """What is wrong with a name that no field has."""
    place = f" in {section}" if section else ""
    if "(" in name or ")" in name:  # `{plan: hyde(n=2, tokens=9)}` ends at its comma
        return f"unknown key {short(name)!r}{place}; put a plan with a comma in quotes"
    home = homes.get(name)
    if home is not None and home != section:
        belongs = f"belongs under {home}" if home else "belongs at the left edge, in no section"
        return f"unknown key {short(name)!r}{place}; {name} {belongs}"
    return f"unknown key {short(name)!r}{place}; {did_you_mean(name, known)}"


def _blamed(given: Marked, message: str) -> str:
    """The line of the field that a dataclass's message begins with, else that of the section."""
    name = message.split(maxsplit=1)[0] if message else ""
    one = given.value.get(name)
    return one.where if one is not None else given.where


def _value(given: Marked, hint: Any, name: str, *, inherited: _Inherited) -> Any:
    """The value as the first type of the hint that takes it."""
    kinds, readers = _alternatives(hint), inherited["readers"]
    for kind in kinds:
        if kind in readers and not (given.value is None and type(None) in kinds):
            return readers[kind](given)
        if dataclasses.is_dataclass(kind) and isinstance(given.value, dict):
            return fields_of(given, typing.cast(type[Any], kind), section=name, **inherited)
        origin = typing.get_origin(kind)
        if origin is tuple and isinstance(given.value, tuple):
            item = typing.get_args(kind)[0]
            return tuple(
                _value(one, item, f"an entry of {name}", inherited=inherited) for one in given.value
            )
        if kind in WORDS and _is(given.value, kind):
            return float(given.value) if kind is float else given.value
        if isinstance(given.value, dict) and origin not in (None, tuple):
            return given.plain()
    expected = " or ".join(map(_worded, kinds))
    hint_quotes = "; write it in quotes" if _wants_quotes(given.value, kinds) else ""
    raise PlanError(f"{given.where}: {name} is {shown(given)}, not {expected}{hint_quotes}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)
    return (hint,)


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind  # true is no number


def _wants_quotes(value: Any, kinds: tuple[Any, ...]) -> bool:
    return str in kinds and value is not None and not isinstance(value, str | tuple | dict)


def _worded(kind: Any) -> str:
    """A type in the words of a message."""
    if kind in WORDS:
        return WORDS[kind]
    if typing.get_origin(kind) is tuple:
        item = _alternatives(typing.get_args(kind)[0])
        return f"a list, each entry {' or '.join(map(_worded, item))}"
    return "a mapping" if dataclasses.is_dataclass(kind) or typing.get_origin(kind) else "a text"


def shown(given: Marked) -> str:
    """A value in a message: a text in quotes, and true, false and null as YAML writes them."""
    plain = given.value
    if plain is None or isinstance(plain, bool):
        return "null" if plain is None else str(plain).lower()
    if isinstance(plain, dict | tuple):
        return "a mapping" if isinstance(plain, dict) else "a list"
    return short(repr(plain)) if isinstance(plain, str) else short(str(plain))
