"""The closed set of primitives that the engine can run."""

from __future__ import annotations

from collections.abc import Callable

from llmaug.plan import Step
from llmaug.steps.clean import Clean as clean
from llmaug.steps.edit import Edit as edit
from llmaug.steps.filters import Dedupe as dedupe
from llmaug.steps.filters import Length as length
from llmaug.steps.filters import Similar as similar
from llmaug.steps.generate import Generate as generate
from llmaug.steps.join import Join as join
from llmaug.steps.keep import Keep as keep
from llmaug.steps.stored import Stored as stored

STEPS: dict[str, Callable[..., Step]] = {
    "clean": clean,
    "dedupe": dedupe,
    "edit": edit,
    "generate": generate,
    "join": join,
    "keep": keep,
    "length": length,
    "similar": similar,
    "stored": stored,
}
