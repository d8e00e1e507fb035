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


class SweptRatio(NamedTuple):
    """One ratio of synthetic to human pairs that was tried: asked for, and of what there is.

    `error` is the standard error of the difference to the best.
    """

    ratio: float
    effective: float
    mean: float
    difference: float
    error: float


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

    `ratio` is how many synthetic pairs go with a human one in an epoch; there may be fewer than
    were asked for. `training` are numbers about it by name, `negatives` about the mined ones.
    `divergence` is the AUC of telling synthetic from human queries. `written` counts synthetic
    queries before the filters, `dropped` and `human_dropped` those that went by reason; `cut` says
    how many passages were cut. `leakage` counts queries near the test by where they were found.
    `dev` is the origin of the dev queries, `measure` what is measured on them, `saturation_human`
    what human queries alone bring. `examples` are queries with their documents. `settings` is
    `Recipe.record()`. `plot` is a file beside the card.
    """

    name: str
    base: str
    corpus: str
    documents: int
    trained_on: tuple[TrainedOn, ...]
    settings: Mapping[str, Any]
    ratio: float | None = None
    ratio_asked: float | None = None
    sweep: tuple[SweptRatio, ...] = ()
    training: Mapping[str, float] = field(default_factory=dict)
    divergence: Estimate | None = None
    cut: str = ""
    written: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    human_dropped: Mapping[str, int] = field(default_factory=dict)
    negatives: Mapping[str, float] = field(default_factory=dict)
    decision: Decision | None = None
    dev: str | None = None
    tests: tuple[OnCollection, ...] = ()
    saturation: tuple[SaturationPoint, ...] = ()
    saturation_base: Estimate | None = None
    saturation_human: Estimate | None = None
    measure: str = ""
    plot: str | None = None
    generator: str | None = None
    leakage: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[tuple[str, str], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
