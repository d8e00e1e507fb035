"""Gates: which queries are worth an expansion at all.

A gate is a value whose printed form `parse_gate` reads back: `always()`, `never()`,
`threshold(feature='top1', below=0.6)`, `learned('gate.json')`, `collection('pilot.json')`. Most
look at features that are there before the language model is asked (`predictors`), and save its
cost; one that needs an `after_…` feature can only choose between the two rankings.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmaug.errors import PlanError, RetrievalError
from llmaug.retrieval.gate_file import LearnedGate, PilotGate, read_learned, read_pilot
from llmaug.retrieval.gate_model import table_of
from llmaug.retrieval.gate_purpose import Purpose
from llmaug.retrieval.one_call import parse_call
from llmaug.retrieval.predictors import FEATURES, known_feature

WITH_FILE = ("learned", "collection")


class Gate:
    """A rule that says for each query whether it is expanded."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The features that it looks at."""
        return ()

    @property
    def after(self) -> bool:
        """Whether it can only decide once the expansions are there, so that it saves no call."""
        return any("expansion" in FEATURES[name].needs for name in self.needs)

    @property
    def purpose(self) -> Purpose | None:
        """The search that it was fitted for; None where it may be used in every one."""
        return None

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when its decisions may."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:12]

    def chosen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        """Which of the queries {id: {feature: value}} to expand, in their order.

        Each is decided by its own features alone. Raises `RetrievalError` where one lacks.
        """
        raise TypeError(f"{type(self).__name__} does not say how it does this")

    def unseen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
        """The queries that the gate was not trained for, and which features say so."""
        return {}

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, repr=False)
class Constant(Gate):
    """Every query, or none."""

    expand: bool

    def chosen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        return dict.fromkeys(features, self.expand)

    def __str__(self) -> str:
        return "always()" if self.expand else "never()"


@dataclass(frozen=True, repr=False)
class Threshold(Gate):
    """The queries that have less of a feature than `below`, or more of it than `above`."""

    feature: str
    below: float | None
    above: float | None

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.feature,)

    def chosen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        table_of(features, self.needs)
        low = -math.inf if self.above is None else self.above
        high = math.inf if self.below is None else self.below
        return {id: low < of[self.feature] < high for id, of in features.items()}

    def __str__(self) -> str:
        side = "below" if self.above is None else "above"
        return f"threshold(feature={self.feature!r}, {side}={getattr(self, side)!r})"


@dataclass(frozen=True, repr=False)
class Learned(Gate):
    """The queries whose score under a model fitted on labelled ones is above its threshold.

    A query with a feature beyond the range seen in training, by more than a tenth of that range,
    is not trusted to the model: it is not expanded, which is what costs nothing and cannot make it
    worse, and `unseen` tells of it. Nearer values count as the nearest one that was seen.
    """

    file: str
    learned: LearnedGate

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.learned.model.names)

    @property
    def purpose(self) -> Purpose | None:
        return self.learned.purpose

    @property
    def fingerprint(self) -> str:
        return self.learned.fingerprint

    def chosen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        model = self.learned.model
        worth = model.chosen(table_of(features, model.names), self.learned.threshold)
        return dict(zip(features, worth.tolist(), strict=True))

    def unseen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
        beyond = self.learned.model.beyond(table_of(features, self.needs))
        return {
            id: [name for name, is_beyond in zip(self.needs, row, strict=True) if is_beyond]
            for id, row in zip(features, beyond, strict=True)
            if row.any()
        }

    def __str__(self) -> str:
        return f"learned({self.file!r})"


@dataclass(frozen=True, repr=False)
class PerCollection(Gate):
    """Every query of a collection or none, as a trial on its training queries decided.

    The rule of M-Solomon (Kim et al. 2025, arXiv 2511.02358), section on the split of data sets.
    """

    file: str
    pilot: PilotGate

    @property
    def purpose(self) -> Purpose | None:
        return self.pilot.purpose

    @property
    def fingerprint(self) -> str:
        return self.pilot.fingerprint

    def chosen(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        return dict.fromkeys(features, self.pilot.expand)

    def __str__(self) -> str:
        return f"collection({self.file!r})"


def always() -> Constant:
    """Every query is expanded."""
    return Constant(True)


def never() -> Constant:
    """No query is expanded."""
    return Constant(False)


def threshold(
    *, feature: str = "top1", below: float | None = None, above: float | None = None
) -> Threshold:
    """The queries on one side of a value of one feature; `FEATURES` names them all."""
    if not isinstance(feature, str):
        raise PlanError(f"threshold: feature must be a name, not {feature!r}")
    if (below is None) == (above is None):
        raise PlanError("threshold: give one of below and above, such as below=0.6")
    for value in (below, above):
        if value is not None and not _finite(value):
            raise PlanError(f"threshold: {value!r} is not a finite number")
    try:
        return Threshold(known_feature(feature), below, above)
    except RetrievalError as error:
        raise PlanError(f"threshold: {error}") from None


def learned(file: str | Path = "") -> Learned:
    """The gate that `llmaug gate fit` wrote into a file."""
    return Learned(_name("learned", file), read_learned(file))


def collection(file: str | Path = "") -> PerCollection:
    """The decision for a whole collection that a pilot wrote into a file."""
    return PerCollection(_name("collection", file), read_pilot(file))


def _name(gate: str, file: Any) -> str:
    if not isinstance(file, str | Path) or not 0 < len(str(file)) <= 1_000:
        raise PlanError(f"{gate} takes the name of one file: {gate}('gate.json')")
    return str(file)


GATES: dict[str, Callable[..., Gate]] = {
    "always": always,
    "never": never,
    "threshold": threshold,
    "learned": learned,
    "collection": collection,
}


def parse_gate(text: str) -> Gate:
    """The gate that a text says; `PlanError` with close matches where there is none.

    A file may be written with or without quotes: `learned('gate.json')`, `learned(gate.json)`.
    """
    named = re.fullmatch(rf"\s*({'|'.join(WITH_FILE)})\((?!\s*file\s*=)(.*)\)\s*", text, re.DOTALL)
    if named is None:
        return parse_call(text, GATES, kind="gate")
    file = named[2].strip()
    if file[:1] in ("'", '"'):
        try:
            file = ast.literal_eval(file)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            file = ""
    return GATES[named[1]](file)


def _finite(value: Any) -> bool:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return right and math.isfinite(value)
