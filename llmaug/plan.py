"""Plans: how one text becomes several, as plain values with one printed form."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llmaug.errors import PlanError, did_you_mean
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

    from llmaug.request import Reply, Request

NOTHING: frozenset[str] = frozenset()


class Context(Protocol):
    """What the engine offers a step while it works on one root."""

    root: Text  # the input text itself, for filters that compare with it
    seed: int  # the run's seed
    attempt: int  # draws already spent on this row by an earlier, failed run

    async def complete(self, requests: Sequence[Request], role: str = "lm") -> list[Reply]: ...

    async def embed(self, texts: Sequence[str]) -> np.ndarray: ...  # (n, d) float32, unit length

    async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]: ...

    async def classify(self, texts: Sequence[str]) -> np.ndarray: ...  # (n, classes), sums to 1

    def drop(self, text: Text, reason: str) -> None: ...  # counted, never silent

    def count(self, event: str) -> None: ...  # a warning shown at the end


class Step:
    """One thing that the engine can do to the texts of one root.

    Subclasses are frozen dataclasses whose `__init__` only assigns; `check` looks at the values
    before the first request is sent. Equality is by value and `str` is the text that `parse`
    reads back.
    """

    @property
    def needs(self) -> frozenset[str]:
        """The meta fields that it reads."""
        return NOTHING

    @property
    def gives(self) -> frozenset[str]:
        """The meta fields that it writes."""
        return NOTHING

    @property
    def uses(self) -> frozenset[str]:
        """What the engine must have been given: roles of models, "embedder", "index", …"""
        return NOTHING

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        """The texts that go on, in order; a text that does not is handed to `ctx.drop`."""
        raise TypeError(f"{type(self).__name__} does not say what it does to texts")

    def check(self) -> None:
        """Raise `PlanError` when a value makes no sense, before any work is done."""

    def parts(self) -> tuple[Step, ...]:
        """The steps inside this one, for walking a plan."""
        return ()

    def fingerprints(self) -> Mapping[str, str]:
        """What this step reads from disk (prompts, files) by name, as 12 hex digits each."""
        return {}

    def __rshift__(self, other: Step) -> Step:
        return then(self, other) if isinstance(other, Step) else NotImplemented

    def __add__(self, other: Step) -> Step:
        return both(self, other) if isinstance(other, Step) else NotImplemented

    def __str__(self) -> str:
        return call_text(snake(type(self).__name__), self)

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, repr=False)
class Then(Step):
    """One step after another: `a >> b`."""

    steps: tuple[Step, ...]

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        for step in self.steps:
            if not texts:
                break
            texts = await step.apply(texts, ctx)
        return texts

    def parts(self) -> tuple[Step, ...]:
        return self.steps

    def __str__(self) -> str:
        return " >> ".join(map(str, self.steps))


@dataclass(frozen=True, repr=False)
class Both(Step):
    """Several steps on the same texts, their outputs one after another: `a + b`."""

    steps: tuple[Step, ...]

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        outputs = await all_of([step.apply(texts, ctx) for step in self.steps])
        return [text for output in outputs for text in output]

    def parts(self) -> tuple[Step, ...]:
        return self.steps

    def __str__(self) -> str:
        return " + ".join(f"({s})" if isinstance(s, Then) else str(s) for s in self.steps)


def then(*steps: Step) -> Step:
    """`a >> b`, flattened."""
    return Then(_flat(steps, Then))


def both(*steps: Step) -> Step:
    """`a + b`, flattened."""
    return Both(_flat(steps, Both))


def _flat(steps: Sequence[Step], kind: type[Then] | type[Both]) -> tuple[Step, ...]:
    return tuple(
        inner for step in steps for inner in (step.steps if isinstance(step, kind) else (step,))
    )


async def all_of(work: Sequence[Any]) -> list[Any]:
    """The results of all awaitables, in order; the first error once all have ended.

    Waiting for the others keeps replies that were already paid for.
    """
    if len(work) == 1:
        return [await work[0]]
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def walk(plan: Step) -> list[Step]:
    """The plan and every step inside it, outermost first."""
    return [plan, *(inner for part in plan.parts() for inner in walk(part))]


def check(plan: Step, fields: frozenset[str] | None = None) -> None:
    """Raise `PlanError` when the plan cannot run, before the first request is sent.

    `fields` are the meta fields of the input; None leaves them unchecked.
    """
    for step in walk(plan):
        step.check()
    if fields is not None:
        _check_fields(plan, fields)


def _check_fields(plan: Step, fields: frozenset[str]) -> frozenset[str]:
    """The meta fields that the plan's outputs have, given those of its inputs."""
    if isinstance(plan, Then):
        for step in plan.steps:
            fields = _check_fields(step, fields)
        return fields
    if isinstance(plan, Both):
        return frozenset.intersection(*(_check_fields(step, fields) for step in plan.steps))
    for name in sorted(plan.needs - fields):
        raise PlanError(
            f"{plan} needs the field {name!r}, which the input does not have; "
            + did_you_mean(name, fields)
        )
    return fields | plan.gives


def fingerprints(plan: Step) -> dict[str, str]:
    """Everything that the plan reads from disk, by name."""
    return {name: mark for step in walk(plan) for name, mark in step.fingerprints().items()}


def snake(name: str) -> str:
    """The plan name of a step class: `BackTranslate` is `back_translate`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def call_text(name: str, step: Any) -> str:
    """`name(...)` with required fields by position and the others only where not the default."""
    arguments = []
    for field in dataclasses.fields(step):
        value = getattr(step, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING:
            arguments.append(literal(value))
        elif value != default or type(value) is not type(default):
            arguments.append(f"{field.name}={literal(value)}")
    return f"{name}({', '.join(arguments)})"


def literal(value: Any) -> str:
    """A value as `parse` reads it back."""
    return repr(value)
