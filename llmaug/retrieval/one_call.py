"""Reading a setting such as `rrf(k=60)` or `bm25(k1=0.9)` from its text."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from llmaug.errors import PlanError, did_you_mean

T = TypeVar("T")


def parse_call(text: str, names: Mapping[str, Callable[..., T]], *, kind: str) -> T:
    """The value that one call says, over a closed set of names with named literal arguments.

    A name alone stands for a call without arguments. Raises `PlanError` naming the accepted names,
    with close matches. Nothing is evaluated.
    """
    text, example = text.strip(), f"{next(iter(names))}()"
    if len(text) > 1_000:
        raise PlanError(f"the {kind} is longer than 1,000 characters; write it like {example}")
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise PlanError(f"the {kind} does not parse: {text!r}; write it like {example}") from None
    call = ast.Call(node, [], []) if isinstance(node, ast.Name) else node
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise PlanError(f"{text!r} is not a {kind}; write it like {example}")
    name = call.func.id
    if name not in names:
        raise PlanError(f"unknown {kind} {name}; {did_you_mean(name, names)}")
    return names[name](**_arguments(call, name, accepted=inspect.signature(names[name]).parameters))


def _arguments(call: ast.Call, name: str, *, accepted: Mapping[str, Any]) -> dict[str, Any]:
    if len(call.args) > 1 or (call.args and not accepted):
        such = "one argument without a name at most" if accepted else "no arguments"
        raise PlanError(f"{name}() takes {such}; it was given {ast.unparse(call.args[-1])}")
    arguments: dict[str, Any] = {}
    # The first argument may stand without its name: mix(0.5).
    first = [ast.keyword(next(iter(accepted)), value) for value in call.args]
    for keyword in (*first, *call.keywords):
        given = keyword.arg or "**"
        if given not in accepted:
            raise PlanError(f"{name}() has no argument {given!r}; {did_you_mean(given, accepted)}")
        if given in arguments:
            raise PlanError(f"{name}() is given {given} twice")
        try:
            arguments[given] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise PlanError(
                f"{name}: {ast.unparse(keyword.value)} is not a literal; arguments are numbers, "
                "strings and tuples of them"
            ) from None
    return arguments
