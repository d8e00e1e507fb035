"""The closed set of names that a plan may use."""

from __future__ import annotations

from collections.abc import Callable

from llmaug import plan
from llmaug.methods import METHODS
from llmaug.plan import Step
from llmaug.steps import STEPS

NAMES: dict[str, Callable[..., Step]] = {**STEPS, **METHODS}


def parse(text: str | Step) -> Step:
    """The plan that a text says: `parse(str(p)) == p`. A plan is returned as it is.

    Raises `PlanError` naming the accepted names, with close matches.
    """
    return text if isinstance(text, Step) else plan.parse(text, NAMES)
