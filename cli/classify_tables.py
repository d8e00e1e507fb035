"""What `llmaug classify` shows a person, and what it gives a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.cli.evaluation_tables import printable
from llmaug.cli.stages import Stages

if TYPE_CHECKING:
    import numpy as np

    from llmaug.classify.evaluation import Evaluation
    from llmaug.request import Classifier

AT_ONCE = 512  # texts between two signs of progress
SHOWN = 10  # unknown labels that a note names
WIDEST = 40  # characters of a class


def in_parts(
    classifier: Classifier, texts: Sequence[str], *, shown: Stages, stage: str
) -> np.ndarray:
    """The probabilities of many texts, with progress shown."""
    import numpy as np

    parts = []
    for start in range(0, len(texts), AT_ONCE):
        parts.append(classifier.probabilities(texts[start : start + AT_ONCE]))
        shown.update(stage, min(start + AT_ONCE, len(texts)), len(texts))
    return np.concatenate(parts)


def print_evaluation(path: Path, made: Evaluation) -> None:
    """Print the scores on one file, then a table of its classes."""
    low, high = made.interval
    line = (
        f"{printable(str(path))}: {made.texts:,} texts, accuracy {made.accuracy:.4f} "
        f"[{low:.4f}, {high:.4f}], macro-F1 {made.macro_f1:.4f}, ECE {made.calibration_error:.4f}"
    )
    print(line + (f", NLL {made.nll:.4f}" if made.nll is not None else ""))
    names = [printable(str(name))[:WIDEST] for name in made.by_class]
    width = max(5, *map(len, names))
    print(f"  {'class':<{width}} {'precision':>9} {'recall':>7} {'F1':>7} {'texts':>7}")
    for name, one in zip(names, made.by_class.values(), strict=True):
        print(
            f"  {name:<{width}} {one.precision:>9.4f} {one.recall:>7.4f} {one.f1:>7.4f} "
            f"{one.texts:>7,}"
        )
    if made.unknown:
        several = list(made.unknown.items())
        named = ", ".join(f"{printable(repr(one))} {n:,}" for one, n in several[:SHOWN])
        more = ", …" if len(several) > SHOWN else ""
        print(
            f"  note: {sum(made.unknown.values()):,} of {made.texts:,} texts count as wrong "
            f"because the classifier does not know their labels ({named}{more}); "
            "NLL leaves them out"
        )


def as_json(classifier: Classifier, evaluations: Mapping[Path, Evaluation]) -> str:
    """The same as JSON."""
    import orjson

    files = []
    for path, made in evaluations.items():
        row: dict[str, Any] = {"path": printable(str(path)), **dataclasses.asdict(made)}
        row["interval"] = list(made.interval)
        row["by_class"] = [
            {"class": name, **{k: v for k, v in one._asdict().items() if k != "number"}}
            for name, one in made.by_class.items()
        ]
        row["unknown"] = [{"label": label, "texts": n} for label, n in made.unknown.items()]
        row["bins"] = [one._asdict() for one in made.bins]
        files.append(row)
    about = {
        "classifier": printable(classifier.name),
        "fingerprint": classifier.fingerprint,
        "classes": list(classifier.classes),
        "files": files,
    }
    return orjson.dumps(about, option=orjson.OPT_INDENT_2).decode()
