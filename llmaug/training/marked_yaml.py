"""YAML values that remember the line they stand on, so that an error can name it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmaug.errors import PlanError
from llmaug.formats.fields import short

LONGEST_FILE = 1_000_000  # characters
DEEPEST = 20  # mappings and lists inside each other
# YAML 1.1 takes 2e-5 for a string; nobody who writes it does.
EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Marked:
    """A value and where it stands.

    A mapping is a dict of marked values by name, a list a tuple of marked values, anything else
    the plain value. `where` is FILE:LINE, that of its name for a value in a mapping.
    """

    value: Any
    where: str

    def plain(self) -> Any:
        """The value without marks, lists as lists."""
        if isinstance(self.value, dict):
            return {name: one.plain() for name, one in self.value.items()}
        if isinstance(self.value, tuple):
            return [one.plain() for one in self.value]
        return self.value

    def without(self, *names: str) -> tuple[Marked, Mapping[str, Marked]]:
        """A mapping without these names, and what stood there under those of them it has."""
        taken = {name: self.value[name] for name in names if name in self.value}
        rest = {name: one for name, one in self.value.items() if name not in taken}
        return Marked(rest, self.where), taken


def read_yaml(path: Path) -> Marked:
    """The mapping in a YAML file.

    Only plain values are made, as by `yaml.safe_load`, and none is read twice: aliases are
    refused, and so is a name that stands twice in one mapping. Raises `PlanError` with file and
    line.
    """
    import yaml

    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not UTF-8 ({error.reason} at byte {error.start})") from None
    if len(text) > LONGEST_FILE:
        raise PlanError(f"{path} is longer than {LONGEST_FILE:,} characters")
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise PlanError(f"{path}:{line}: *{event.anchor} is an alias; write the value out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        marked = None if node is None else _marked(node, str(path), yaml.SafeLoader(""))
    except yaml.YAMLError as error:
        raise PlanError(_not_yaml(path, error)) from None
    except RecursionError:
        raise PlanError(f"{path} is nested too deeply") from None
    if marked is None or not isinstance(marked.value, dict):
        raise PlanError(f"{path} must be a mapping, lines such as `model: minilm`")
    return marked


def _not_yaml(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return f"{where}: not YAML: {' '.join((getattr(error, 'problem', '') or str(error)).split())}"


def _marked(node: Any, file: str, loader: Any, *, where: str = "", depth: int = 0) -> Marked:
    import yaml

    where = where or f"{file}:{node.start_mark.line + 1}"
    if depth > DEEPEST:
        raise PlanError(f"{where}: nested more than {DEEPEST} deep")
    if isinstance(node, yaml.MappingNode):
        return Marked(_members(node, file, loader, depth=depth + 1), where)
    if isinstance(node, yaml.SequenceNode):
        return Marked(
            tuple(_marked(one, file, loader, depth=depth + 1) for one in node.value), where
        )
    if node.style is None and EXPONENT.fullmatch(node.value):
        return Marked(float(node.value), where)
    try:
        return Marked(loader.construct_object(node), where)
    except ValueError as error:  # a date that is none
        raise PlanError(f"{where}: {short(node.value)}: {error}; write it in quotes") from None


def _members(node: Any, file: str, loader: Any, *, depth: int) -> dict[str, Marked]:
    members: dict[str, Marked] = {}
    for key, value in node.value:
        where = f"{file}:{key.start_mark.line + 1}"
        name = getattr(key, "value", None)
        if not isinstance(name, str):
            raise PlanError(f"{where}: a name is a word, not a list or a mapping")
        if name in members:
            raise PlanError(f"{where}: {short(name)} stands there twice; leave one out")
        members[name] = _marked(value, file, loader, where=where, depth=depth)
    return members
