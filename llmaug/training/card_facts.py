"""What a model card tells, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmaug.training.gate_decision import Decision
from llmaug.training.saturation_plot import SaturationPoint


class Estimate(NamedTuple):
    """A number and its 95 % interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class TrainedOn(NamedTuple):
    """How many pairs were trained on of one origin (human, synthetic) and kind of query."""

    origin: str
    kind: str
    queries: int
    pairs: int


@dataclass(frozen=True)
class SystemRow:
    """One system on the test queries of a collection: "base", "tuned", "BM25", "hybrid", …"""

    system: str
    values: Mapping[str, Estimate]  # by measure


@dataclass(frozen=True)
class OnCollection:
    """The test of one collection; `gains` are those of the returned model over the base.

    `p` is that of each gain by measure, two-sided.
    """

    collection: str
    queries: int
    rows: tuple[SystemRow, ...]
    gains: Mapping[str, Estimate] = field(default_factory=dict)
    p: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card says; what is empty has no section.

    `written` counts synthetic queries before the filters, `dropped` those that went by reason.
    `negatives` are numbers about the mined negatives by name. `leakage` counts queries near the
    test by where they were found. `dev` is the origin of the dev queries. `examples` are queries
    with their documents. `settings` is `Recipe.record()`. `plot` is a file beside the card.
    """

    name: str
    base: str
    corpus: str
    documents: int
    trained_on: tuple[TrainedOn, ...]
    settings: Mapping[str, Any]
    written: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    negatives: Mapping[str, float] = field(default_factory=dict)
    decision: Decision | None = None
    dev: str | None = None
    tests: tuple[OnCollection, ...] = ()
    saturation: tuple[SaturationPoint, ...] = ()
    saturation_base: float | None = None
    saturation_measure: str = ""
    plot: str | None = None
    generator: str | None = None
    leakage: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
