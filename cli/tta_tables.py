"""What `llmaug tta` shows a person, and what it gives a program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.cli.evaluation_tables import printable
from llmaug.significance import holm

if TYPE_CHECKING:
    from llmaug.classify.account import Account
    from llmaug.classify.calibration import Point
    from llmaug.classify.comparison import Comparison
    from llmaug.classify.evaluation import Evaluation
    from llmaug.classify.fitting import Fitted
    from llmaug.classify.tta import TTAClassifier

ROWS = 9  # of a curve, that of the chosen point among them
SHOWN = 10  # unknown labels that a note names


class Evaluated(NamedTuple):
    """A file: the scores without and with rewrites, and what deciding on its texts came to."""

    comparison: Comparison
    account: Account


def print_curve(report: Fitted) -> None:
    """Print some points of the curve of a gate; an arrow marks the chosen one."""
    accuracy = f" {'accuracy':>9}" if report.rewritten else ""
    expected = "" if report.rewritten else " (expected)"
    print(f"  {'threshold':>10} {'texts':>7} {'mistakes':>9}{accuracy} {'calls':>7}{expected}")
    for point in _some(report):
        arrow = ">" if point == report.chosen else " "
        shown = f" {point.accuracy:>9.4f}" if report.rewritten else ""
        mistakes = "none" if math.isnan(point.mistakes) else f"{point.mistakes:.0%}"
        print(
            f"{arrow} {point.threshold:>10.4g} {point.texts:>7.0%} {mistakes:>9}{shown} "
            f"{point.calls:>7.0%}"
        )


def _some(report: Fitted) -> list[Point]:
    """Points of the curve about as far from each other in calls, and the chosen one."""
    curve = report.curve
    most = max(point.calls for point in curve)
    wanted = [most * step / (ROWS - 2) for step in range(ROWS - 1)]
    places = {
        min(range(len(curve)), key=lambda at: abs(curve[at].calls - calls)) for calls in wanted
    }
    return [curve[at] for at in sorted(places | {curve.index(report.chosen)})]


def print_evaluations(made: Mapping[Path, Evaluated]) -> None:
    """Print the comparison of every file."""
    corrected = holm([one.comparison.p for one in made.values()])
    for number, ((path, one), p) in enumerate(zip(made.items(), corrected, strict=True)):
        if number:
            print()
        found = one.comparison
        print(f"{printable(str(path))}: {one.account}")
        print(f"  {'':<10}{'without':>9}{'with rewrites':>15}")
        for name, before, after in _scores(found):
            print(f"  {name:<10}{before:>9.4f}{after:>15.4f}")
        low, high = found.interval
        holms = f", {p:.4f} by Holm over {len(made)} files" if len(made) > 1 else ""
        print(
            f"  accuracy {found.difference:+.4f} [{low:+.4f}, {high:+.4f}]; {found.fixed:,} fixed, "
            f"{found.broken:,} newly broken; McNemar p {found.p:.4f}{holms}"
        )
        if found.before.unknown:
            print(f"  note: {_unknown(found.before)}")


def _scores(found: Comparison) -> list[tuple[str, float, float]]:
    before, after = found.before, found.after
    return [
        ("accuracy", before.accuracy, after.accuracy),
        ("macro-F1", before.macro_f1, after.macro_f1),
        ("ECE", before.calibration_error, after.calibration_error),
    ]


def _unknown(found: Evaluation) -> str:
    several = list(found.unknown.items())
    named = ", ".join(f"{printable(repr(one))} {n:,}" for one, n in several[:SHOWN])
    more = ", …" if len(several) > SHOWN else ""
    return (
        f"{sum(found.unknown.values()):,} of {found.texts:,} texts count as wrong because the "
        f"classifier does not know their labels ({named}{more})"
    )


def as_json(fitted: TTAClassifier, made: Mapping[Path, Evaluated]) -> str:
    """The same as JSON."""
    import orjson

    corrected = holm([one.comparison.p for one in made.values()])
    files = []
    for (path, one), p in zip(made.items(), corrected, strict=True):
        found, account = one.comparison, one.account
        row: dict[str, Any] = {"path": printable(str(path)), "texts": account.texts}
        for when, scores in (("before", found.before), ("after", found.after)):
            row[when] = {
                "accuracy": scores.accuracy,
                "macro_f1": scores.macro_f1,
                "calibration_error": scores.calibration_error,
            }
        row["difference"] = {"accuracy": found.difference, "interval": list(found.interval)}
        row |= {"mcnemar": found.p, "holm": p, "fixed": found.fixed, "broken": found.broken}
        # Not by asdict, which makes a Counter count its own items.
        row["account"] = {
            k: dict(v) if isinstance(v, dict) else v for k, v in vars(account).items()
        }
        row["asked_share"] = account.asked / account.possible if account.possible else 0.0
        row["unknown"] = [{"label": label, "texts": n} for label, n in found.before.unknown.items()]
        files.append(row)
    classifier = fitted.classifier_
    about = {
        "classifier": printable(classifier.name),
        "fingerprint": classifier.fingerprint,
        "classes": list(classifier.classes),
        "plan": str(fitted.rewriter_.plan),
        "gate": fitted.policy_.gate,
        "aggregation": fitted.policy_.aggregation,
        "files": files,
    }
    return orjson.dumps(about, option=orjson.OPT_INDENT_2).decode()
