"""A fitted test-time augmentation as a small JSON file."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from llmaug.classify import aggregation, openness
from llmaug.classify.aggregation import Weights
from llmaug.classify.calibration import Point
from llmaug.classify.classifiers import classifier as classifier_of
from llmaug.classify.fitting import Fitted
from llmaug.classify.labels import checked_classes
from llmaug.classify.learned_weights import MOST
from llmaug.classify.openness import FEATURES, GainModel
from llmaug.classify.policy import Policy
from llmaug.classify.settled import Spread
from llmaug.errors import ClassifierError, LlmaugError, PlanError
from llmaug.formats.atomic import new_file

if TYPE_CHECKING:
    from llmaug.classify.tta import TTAClassifier

FORMAT = "llmaug tta 1"
LARGEST = 2**20  # bytes
TINY = 1e-9
ENDS = {"all": -math.inf, "none": math.inf}  # thresholds that JSON has no number for


def write(path: Path, fitted: TTAClassifier) -> None:
    """Write what was fitted: the plan, the policy, whom it is for, and how it was found."""
    policy, report = fitted.policy_, fitted.report_
    about = {
        "format": FORMAT,
        "plan": str(fitted.rewriter_.plan),
        "normalise": fitted.normalise,
        "seed": fitted.seed,
        "classes": list(fitted.classifier_.classes),
        "classifier": {
            "name": fitted.classifier_.name,
            "fingerprint": fitted.classifier_.fingerprint,
        },
        "policy": {
            **dataclasses.asdict(policy),
            "threshold": _number(policy.threshold),
            "spread": policy.spread._asdict(),
            "stop": _number(policy.stop),
            "weights": policy.weights._asdict() if policy.weights else None,
            "model": policy.model._asdict() if policy.model else None,
        },
        "fitted": {
            "texts": report.texts,
            "rewritten": report.rewritten,
            "failed": report.failed,
            "accuracy without rewrites": report.plain,
            "chosen": _point(report.chosen),
            "curve": [_point(point) for point in report.curve],
        },
    }
    with new_file(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", "utf-8")


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return next((name for name, end in ENDS.items() if end == value), value)


def _point(point: Any) -> dict[str, float | str | None]:
    return {name: _number(value) for name, value in point._asdict().items()}


def content(path: Path) -> dict[str, Any]:
    """What a file says; `ClassifierError` for one that is no fitted test-time augmentation."""
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise ClassifierError(
            f"{path} cannot be read ({error.strerror}); make it with llmaug tta fit"
        ) from None
    try:
        about = orjson.loads(found)
    except orjson.JSONDecodeError:
        about = None
    if len(found) > LARGEST or not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ClassifierError(f"{path} was not written by llmaug tta fit; fit it again")
    return about


def read(path: Path, source: Any, models: Mapping[str, Any]) -> TTAClassifier:
    """The fitted classifier of a file, around the classifier `source`."""
    from llmaug.classify.tta import TTAClassifier

    about = content(path)
    try:
        classes = checked_classes(about["classes"])
        policy = _policy(about["policy"])
        report = _report(about["fitted"], policy)
        plan, normalise, seed = about["plan"], about["normalise"], about["seed"]
        if (
            not isinstance(plan, str)
            or not isinstance(normalise, bool)
            or not isinstance(seed, int)
        ):
            raise ValueError("its plan, normalise or seed is of another kind")
        fingerprint = about["classifier"]["fingerprint"]
    except (KeyError, TypeError, ValueError, ClassifierError, PlanError) as error:
        raise ClassifierError(f"{path} does not hold together ({error}); fit it again") from None
    named = classes if callable(source) and not hasattr(source, "fit") else None
    outputs = models.get("outputs", "probabilities") if named else "probabilities"
    found = classifier_of(source, classes=named, outputs=outputs)
    if found.classes != classes:
        raise ClassifierError(
            f"{path} was fitted for the classes {list(classes)}, and {found.name} has "
            f"{list(found.classes)}; give the classifier that it was fitted with"
        )
    if fingerprint and found.fingerprint and fingerprint != found.fingerprint:
        raise ClassifierError(
            f"{path} was fitted with the classifier {about['classifier']['name']}@{fingerprint}, "
            f"and {found.name} is @{found.fingerprint}; fit it again"
        )
    made = TTAClassifier(
        source,
        plan,
        gate=policy.gate,
        aggregation=policy.aggregation,
        adaptive=policy.adaptive,
        normalise=normalise,
        seed=seed,
        classes=classes if named else None,
        **models,
    )
    made.policy_, made.report_ = policy, report
    try:
        made.use(found)
    except LlmaugError as error:
        error.add_note(f"the plan of {path} is {plan}")
        raise
    if made.rewriter_.size != policy.size:
        raise ClassifierError(f"{path}: its plan makes another number of rewrites; fit it again")
    if policy.weights and len(policy.weights.sources) != len(made.rewriter_.sources):
        raise ClassifierError(f"{path}: its plan has other sources than its weights; fit it again")
    if policy.weights and policy.weights.faithful and made.embedder is None:
        raise ClassifierError(
            f"{path} weighs rewrites by their likeness to the text; give the embedder that it was "
            "fitted with"
        )
    return made


def _policy(about: dict[str, Any]) -> Policy:
    aggregation.check_kind(about["aggregation"])
    openness.check_kind(about["gate"])
    weights = about["weights"]
    if weights is not None:
        sources = tuple(map(_positive, weights["sources"]))
        faithful, logits = _finite(weights["faithful"]), bool(weights["logits"])
        if abs(faithful) > MOST:
            raise ValueError(f"its weight of faithfulness, {faithful}, is beyond {MOST}")
        weights = Weights(_positive(weights["original"]), sources, faithful, logits)
    model = about["model"]
    if model is not None:
        model = GainModel(
            _finite(model["intercept"]),
            tuple(map(_finite, model["weights"])),
            tuple(map(_finite, model["means"])),
            tuple(map(_positive, model["scales"])),
        )
        if {len(model.weights), len(model.means), len(model.scales)} != {len(FEATURES)}:
            raise ValueError("its learned gate has another number of features")
    if (about["gate"] == "learned") != (model is not None):
        raise ValueError("its learned gate is missing")
    if (about["aggregation"] == "learned") != (weights is not None):
        raise ValueError("its learned weights are missing")
    return Policy(
        size=int(about["size"]),
        spread=Spread(*(_positive(about["spread"][name]) for name in Spread._fields)),
        gate=about["gate"],
        threshold=_threshold(about["threshold"]),
        stop=_threshold(about["stop"]),
        adaptive=bool(about["adaptive"]),
        aggregation=about["aggregation"],
        weights=weights,
        model=model,
    )


def _report(about: dict[str, Any], policy: Policy) -> Fitted:
    return Fitted(
        policy,
        _read_point(about["chosen"]),
        [_read_point(point) for point in about["curve"]],
        _finite(about["accuracy without rewrites"]),
        int(about["texts"]),
        bool(about["rewritten"]),
        int(about["failed"]),
    )


def _read_point(about: dict[str, Any]) -> Point:
    numbers = {name: about[name] for name in Point._fields}
    return Point(**{name: math.nan if n is None else _threshold(n) for name, n in numbers.items()})


def _positive(value: Any) -> float:
    """A number above 0, and not so near to it that something is divided by nothing."""
    if not TINY <= _finite(value) <= 1 / TINY:
        raise ValueError(f"{value!r} is not above 0")
    return float(value)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _threshold(value: Any) -> float:
    return ENDS[value] if isinstance(value, str) and value in ENDS else _finite(value)
