"""A plan cut down to its first rewrites, so that they can be asked for one at a time."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, cast

from llmaug.errors import PlanError
from llmaug.methods.method import Method
from llmaug.plan import Both, Step, Then, both, then, walk
from llmaug.steps.join import Join
from llmaug.vocabulary import METHODS

MOST = 1_000  # rewrites of one text


def rewrites(plan: Step) -> int:
    """How many rewrites of a text a plan asks for.

    Each step or method counts its `n`, a method without one counts once, and a step without one
    (`keep`, `normalise`, filters) nothing, as does all that stands behind a source, such as a
    second translation. Raises `PlanError` where the number cannot be known (`stored` without `n`)
    or is 0, and where `join` puts them together.
    """
    for step in walk(plan):
        if isinstance(step, Join):
            raise PlanError(f"{plan} joins its rewrites to one text; leave {step} out")
    count = _size(plan)
    if not 0 < count <= MOST:
        raise PlanError(f"{plan} asks for {count:,} rewrites of a text; ask for 1 to {MOST:,}")
    return count


def first(plan: Step, count: int) -> Step:
    """The plan that asks for the first `count` rewrites only, in turn from each of its sources.

    A reply depends on the prompt and the number of the sample, so that the first rewrites are the
    same whether more are asked for or not, and come from a cache when more are asked for later.
    """
    cut = _cut(plan, count)
    if cut is None:
        raise PlanError(f"{plan} has no first {count} rewrites")
    return cut


def sources(plan: Step) -> list[Step]:
    """The steps and methods of a plan that write its rewrites, in order."""
    if isinstance(plan, Both):
        return [source for part in plan.steps for source in sources(part)]
    if isinstance(plan, Then):
        return next((found for step in plan.steps if (found := sources(step))), [])
    return [plan] if _size(plan) else []


def _size(plan: Step) -> int:
    if isinstance(plan, Both):
        return sum(map(_size, plan.steps))
    if isinstance(plan, Then):
        # Filters keep what they are given; the first source decides how many there are.
        return next((size for size in map(_size, plan.steps) if size), 0)
    if isinstance(plan, Method):
        parameter = inspect.signature(METHODS[plan.name]).parameters.get("n")
        default = 1 if parameter is None else parameter.default
        return _number(plan, dict(plan.arguments).get("n", default))
    return _number(plan, vars(plan)["n"]) if "n" in vars(plan) else 0


def _number(plan: Step, n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise PlanError(f"{plan}: how many rewrites? give n=4 or another whole number")
    return n


def _cut(plan: Step, count: int) -> Step | None:
    """The first `count` rewrites of a plan; None where nothing is left."""
    if isinstance(plan, Both):
        parts = [_cut(part, n) for part, n in zip(plan.steps, _turns(plan, count), strict=True)]
        left = [part for part in parts if part is not None]
        return both(*left) if len(left) > 1 else (left[0] if left else None)
    size = _size(plan)
    if size == 0 or count >= size:
        return plan
    if count == 0:
        return None
    if isinstance(plan, Then):
        at = next(i for i, step in enumerate(plan.steps) if _size(step))
        inner = _cut(plan.steps[at], count)
        assert inner is not None
        return then(*plan.steps[:at], inner, *plan.steps[at + 1 :])
    if isinstance(plan, Method):
        return METHODS[plan.name](**{**dict(plan.arguments), "n": count})
    return cast(Step, dataclasses.replace(cast(Any, plan), n=count))


def _turns(plan: Both, count: int) -> list[int]:
    """How many of the first `count` rewrites come from each part, one in turn from each."""
    sizes = [_size(part) for part in plan.steps]
    taken = [0] * len(sizes)
    while count > 0 and taken != sizes:
        for at, size in enumerate(sizes):
            if count > 0 and taken[at] < size:
                taken[at] += 1
                count -= 1
    return taken
