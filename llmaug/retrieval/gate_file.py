"""Gates as JSON files: what was learned on one collection, kept for its next queries."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.formats.fields import short
from llmaug.retrieval.gate_model import LinearModel, Weight
from llmaug.retrieval.gate_purpose import Purpose, purpose_in
from llmaug.retrieval.predictors import known_feature

FORMAT = "llmaug gate 1"
LARGEST = 2**20  # bytes
ENDS = {"always": -math.inf, "never": math.inf}  # thresholds that JSON has no number for


G = TypeVar("G")


class LearnedGate(NamedTuple):
    """A model, and the score above which a query is expanded.

    `purpose` is the search that it was fitted for, None where the file does not say.
    """

    model: LinearModel
    threshold: float
    fingerprint: str
    purpose: Purpose | None


class PilotGate(NamedTuple):
    """Whether every query of a collection is expanded, or none."""

    expand: bool
    fingerprint: str
    purpose: Purpose | None


def write_learned(
    path: str | Path,
    model: LinearModel,
    *,
    threshold: float,
    trained: Mapping[str, Any],
    purpose: Purpose | None = None,
) -> None:
    """Write a learned gate, whole or not at all; `trained` says how, for people.

    A gate without a `purpose` may be used in every search.
    """
    ends = {threshold: name for name, threshold in ENDS.items()}
    _write(
        Path(path),
        {
            "format": FORMAT,
            "gate": "learned",
            "model": model.kind,
            "threshold": ends.get(threshold, threshold),
            "intercept": model.intercept,
            "features": [feature._asdict() for feature in model.features],
            **_for(purpose),
            "trained": dict(trained),
        },
    )


def write_pilot(
    path: str | Path, *, expand: bool, trained: Mapping[str, Any], purpose: Purpose | None = None
) -> None:
    """Write the decision for a collection, whole or not at all; `trained` says how."""
    about = {"format": FORMAT, "gate": "collection", "expand": expand}
    _write(Path(path), {**about, **_for(purpose), "trained": dict(trained)})


def read_learned(path: str | Path) -> LearnedGate:
    """Read a learned gate; `RetrievalError` for a file that is none or does not hold together."""

    def gate(about: dict[str, Any], fingerprint: str) -> LearnedGate:
        threshold = about["threshold"]
        if isinstance(threshold, str):
            if threshold not in ENDS:
                raise ValueError(f"its threshold is {short(threshold)!r}")
            threshold = ENDS[threshold]
        else:
            threshold = _number(about, "threshold")
        if not isinstance(about["model"], str):
            raise ValueError("its model is not a string")
        model = LinearModel(about["model"], _number(about, "intercept"), _features(about))
        return LearnedGate(model, threshold, fingerprint, purpose_in(about.get("for")))

    return _read(Path(path), "learned", gate)


def read_pilot(path: str | Path) -> PilotGate:
    """Read the decision for a collection; `RetrievalError` for a file that holds none."""

    def gate(about: dict[str, Any], fingerprint: str) -> PilotGate:
        if not isinstance(about["expand"], bool):
            raise ValueError("its expand is not true or false")
        return PilotGate(about["expand"], fingerprint, purpose_in(about.get("for")))

    return _read(Path(path), "collection", gate)


def _for(purpose: Purpose | None) -> dict[str, Any]:
    return {} if purpose is None else {"for": purpose._asdict()}


def _write(path: Path, about: dict[str, Any]) -> None:
    with new_file(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "ascii")


def _read(path: Path, wanted: str, gate: Callable[[dict[str, Any], str], G]) -> G:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RetrievalError(
            f"the gate {path} cannot be read ({why}); make one with llmaug gate fit"
        ) from None
    try:
        if len(content) > LARGEST:
            raise ValueError("it is larger than 1 MiB")
        about = orjson.loads(content)
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise ValueError(f"it has no field format with the value {FORMAT!r}")
        if about["gate"] != wanted:
            raise ValueError(f"it is the gate of {short(str(about['gate']))}('{path}')")
        return gate(about, hashlib.sha256(content).hexdigest()[:12])
    except KeyError as error:
        why = f"it has no field {error}"
    except (ValueError, RetrievalError) as error:
        why = " ".join(str(error).split())
    raise RetrievalError(f"{path} is no {wanted} gate: {why}; fit it again")


def _features(about: Mapping[str, Any]) -> tuple[Weight, ...]:
    listed = about["features"]
    if not isinstance(listed, list) or not listed:
        raise ValueError("features is not a list of at least one feature")
    found = []
    for row in listed:
        if not isinstance(row, dict) or not isinstance(row["name"], str):
            raise ValueError("one of its features is not an object with a name")
        numbers = {field: _number(row, field) for field in Weight._fields if field != "name"}
        weight = Weight(known_feature(row["name"]), **numbers)
        if weight.scale <= 0 or weight.low > weight.high:
            raise ValueError(f"the scale or the range of {weight.name} makes no sense")
        found.append(weight)
    if len({weight.name for weight in found}) < len(found):
        raise ValueError("one of its features comes twice")
    return tuple(found)


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e100:
        raise ValueError(f"its {name} is not a number that a gate has")
    return float(value)
