"""Paths inside a plan, taken from the folder of the file in which the plan stands."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from llmaug.errors import LlmaugError
from llmaug.methods.method import Method
from llmaug.plan import Step
from llmaug.vocabulary import parse

PATHS = ("examples", "file", "model")  # what steps and methods call what they read
PROMPT = ".prompty"  # without this ending a prompt is one of llmaug's own


def plan_beside(plan: Any, folder: Path) -> Any:
    """The plan with the paths of what lies in the folder written out; what is no plan as it is."""
    try:
        return str(_beside(parse(plan), folder)) if isinstance(plan, str) else plan
    except LlmaugError:  # said with file and line where the recipe is read
        return plan


def _beside(step: Step, folder: Path) -> Step:
    values = {field.name: getattr(step, field.name) for field in fields(step)}  # type: ignore[arg-type]
    changes = {name: _placed(name, given, folder) for name, given in values.items()}
    if isinstance(step, Method):
        arguments = ((name, _placed(name, given, folder)) for name, given in step.arguments)
        changes["arguments"] = tuple(arguments)
    return replace(step, **changes)  # type: ignore[type-var]


def _placed(name: str, given: Any, folder: Path) -> Any:
    """What a step was given under that name, with the paths in it."""
    if isinstance(given, Step):
        return _beside(given, folder)
    if isinstance(given, tuple):
        return tuple(_beside(one, folder) if isinstance(one, Step) else one for one in given)
    if not isinstance(given, str) or not (name in PATHS or given.endswith(PROMPT)):
        return given
    return str(folder / given) if (folder / given).exists() else given
