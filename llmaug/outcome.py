"""What goes into the engine, what comes out for each row, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmaug.text import BadRow, Text


@dataclass
class Spent:
    """What a run has asked its models for so far."""

    asked: int = 0  # requests sent that came back with a reply
    cached: int = 0  # replies taken from the cache
    merged: int = 0  # requests that waited for an equal one in flight
    retried: int = 0  # requests sent again after a transient error
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """A variant that did not survive, and why."""

    text: Text
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that gave no result: which one, the kind of error, and what was tried."""

    row: int
    root: str
    error: str
    message: str
    attempts: int = 0
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input row: its texts and drops, or its failure."""

    row: int
    root: Text | None
    texts: Sequence[Text] = ()
    drops: Sequence[Drop] = ()
    failure: Failure | None = None


@dataclass
class Tally:
    """What a run has done so far."""

    done: int = 0
    failed: int = 0
    texts: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True, slots=True)
class Row:
    """One input row on its way into the engine; `attempt` counts draws of an earlier run."""

    number: int
    text: Text | BadRow
    attempt: int = 0
