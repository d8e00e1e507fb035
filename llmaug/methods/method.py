"""What a method of the literature is: a named plan that prints as it was typed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec

from llmaug.plan import Context, Step, all_of, fingerprints, literal, walk
from llmaug.text import Text

P = ParamSpec("P")


@dataclass(frozen=True, repr=False)
class Method(Step):
    """A plan under the name of its paper: `paraphrase(n=4)` for the steps that it stands for.

    It works on each text by itself. What it makes records the method and the fingerprints of
    its prompts, not its inner steps; `plan` shows those.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...]
    plan: Step = field(compare=False)

    def __hash__(self) -> int:
        return hash(str(self))

    @functools.cached_property
    def made_by(self) -> str:
        """The method as typed and the fingerprints of its prompts."""
        marks = dict.fromkeys(fingerprints(self.plan).values())
        return f"{self}@{'+'.join(marks)}" if marks else str(self)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        outputs = await all_of([self._variants(text, ctx) for text in texts])
        return [variant for variants in outputs for variant in variants]

    async def _variants(self, text: Text, ctx: Context) -> list[Text]:
        bare = replace(text, made_by="") if text.made_by else text
        named: list[Text] = []
        for variant in await self.plan.apply([bare], _Named(ctx, text, self.made_by)):
            if variant.made_by:
                named.append(
                    _renamed(variant, text, self.made_by, f"{text.id}/{self.name}.{len(named)}")
                )
            else:
                named.append(replace(variant, made_by=text.made_by))
        return named

    def parts(self) -> tuple[Step, ...]:
        return (self.plan,)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(step.needs for step in walk(self.plan)))

    @property
    def uses(self) -> frozenset[str]:
        return frozenset().union(*(step.uses for step in walk(self.plan)))

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={literal(value)}" for name, value in self.arguments)
        return f"{self.name}({arguments})"


def _renamed(variant: Text, parent: Text, made_by: str, id: str) -> Text:
    label = f"{parent.made_by} >> {made_by}" if parent.made_by else made_by
    return Text(variant.text, id, variant.root, label, variant.meta)


class _Named:
    """The context of a method's inner steps: what they drop carries the method's name too."""

    def __init__(self, ctx: Context, parent: Text, made_by: str) -> None:
        self._ctx, self._parent, self._made_by = ctx, parent, made_by
        self.root, self.seed, self.attempt = ctx.root, ctx.seed, ctx.attempt
        self.complete = ctx.complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def drop(self, text: Text, reason: str) -> None:
        if text.made_by:
            text = _renamed(text, self._parent, self._made_by, text.id)
        self._ctx.drop(text, reason)


def method(function: Callable[P, Step]) -> Callable[P, Step]:
    """Make a function that returns a plan into a method, which prints as its own call."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Step:
        bound = signature.bind(*args, **kwargs)
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in bound.arguments.items()
            if value != signature.parameters[name].default
        }
        return Method(function.__name__, tuple(given.items()), function(*args, **kwargs))

    return made
