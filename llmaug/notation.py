"""Reading a plan from its text."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmaug.errors import PlanError, did_you_mean
from llmaug.plan import Step, both, then


def plan_file(path: str | Path) -> str:
    """The plan in a file of one or more lines; those that begin with `#` are comments."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"the plan file {path} cannot be read: {error}") from None
    return " ".join(line for line in lines if not line.lstrip().startswith("#"))


def parse(text: str, names: Mapping[str, Callable[..., Step]]) -> Step:
    """The plan that a text says, over a closed set of names with literal arguments.

    Raises `PlanError` naming the accepted names, with close matches. Nothing is evaluated.
    """
    if len(text) > 10_000:
        raise PlanError("the plan is longer than 10,000 characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        where = f" at column {error.offset}" if isinstance(error, SyntaxError) else ""
        raise PlanError(
            f"the plan does not parse{where}: {text.strip()!r}; write it like "
            "keep() + paraphrase(n=4) >> dedupe()"
        ) from None
    try:
        return _step(tree.body, names)
    except RecursionError:
        raise PlanError("the plan is nested too deeply") from None


def _step(node: ast.expr, names: Mapping[str, Callable[..., Step]]) -> Step:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
        return then(_step(node.left, names), _step(node.right, names))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return both(_step(node.left, names), _step(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node, node.func.id, names)
    if isinstance(node, ast.Name):
        if node.id in names:
            raise PlanError(f"{node.id} needs parentheses: {node.id}()")
        raise PlanError(f"unknown step {node.id!r}; {did_you_mean(node.id, names)}")
    raise PlanError(
        f"a plan joins steps with >> and +; {ast.unparse(node)!r} is neither a step "
        "nor one of those"
    )


def _call(node: ast.Call, name: str, names: Mapping[str, Callable[..., Step]]) -> Step:
    if name not in names:
        raise PlanError(f"unknown step {name!r}; {did_you_mean(name, names)}")
    positional = [_value(argument, name) for argument in node.args]
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise PlanError(f"{name}: ** is not part of a plan")
        named[keyword.arg] = _value(keyword.value, name)
    return call_step(names[name], name, positional, named)


def call_step(
    make: Callable[..., Step], name: str, positional: Sequence[Any], named: Mapping[str, Any]
) -> Step:
    """Make a step, or say in one line which of its arguments is wrong."""
    signature = inspect.signature(make)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for key in named:
        if key not in signature.parameters and not open_ended:
            raise PlanError(
                f"{name}() has no argument {key!r}; " + did_you_mean(key, signature.parameters)
            )
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        raise PlanError(f"{name}{signature}: {error}".replace(" -> 'Step'", "")) from None
    return make(*positional, **named)


def _value(node: ast.expr, name: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise PlanError(
            f"{name}: {ast.unparse(node)} is not a literal; arguments are numbers, "
            "strings, lists and the like"
        ) from None
    return tuple(value) if isinstance(value, list) else value
