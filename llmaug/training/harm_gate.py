"""The gate after training: a tuned model goes out only where it is better than its base.

The base, the tuned model and models between them are measured on a dev set. What the gate returns
is better than the base by more than luck, or it is the base.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from llmaug.embedders.embed import embedder as embedder_of
from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.models import fingerprint
from llmaug.request import Embedder
from llmaug.training.dev import DevSet, Values, dev_values
from llmaug.training.gate_decision import Candidate as Candidate
from llmaug.training.gate_decision import Decision as Decision
from llmaug.training.gate_decision import decide as decide
from llmaug.training.interpolation import interpolate
from llmaug.training.settings import GateSettings

DECISION, MODEL, MEASURED = "decision.json", "model", "dev_values.json"
TRIED = "candidate"  # the one that is being measured; gone afterwards


def _local(folder: Path) -> Embedder:
    return embedder_of(str(folder.resolve()))


def run_gate(
    base: Path,
    tuned: Path,
    dev: DevSet | None,
    *,
    settings: GateSettings | None,
    folder: Path,
    trainings: int = 1,
    embedder: Callable[[Path], Embedder] = _local,
    progress: Callable[[str], None] = lambda said: None,
) -> Decision:
    """Decide between two sentence-transformers folders and what lies between them; see `decide`.

    Writes `model`, the one chosen, into `folder` and then `decision.json`. Interpolations exist
    one at a time and are removed once measured. What was measured is kept in `dev_values.json`: a
    gate that was killed and runs again measures only the rest. `settings=None` is no gate: the
    tuned model is returned without measuring, and the decision says so; so it does where fewer than
    `fewest` dev queries keep the base. Raises `RetrievalError`
    for a gate without dev queries.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if settings is None:
        decision = Decision.without_gate()
    elif dev is None:
        raise RetrievalError("the gate decides by dev queries and there are none; give a dev set")
    elif len(dev.queries) < settings.fewest:
        decision = Decision.unmeasured(len(dev.queries), settings=settings)
    else:
        values = _measured(
            base, tuned, dev, settings=settings, folder=folder, embedder=embedder, said=progress
        )
        decision = decide(values.pop(0.0), values, settings=settings, trainings=trainings)
    interpolate(base, tuned, weight=decision.weight, folder=folder / MODEL)
    record = {
        **decision.record(),
        "dev_documents": len(dev.documents) if dev else 0,
        "dev": dev.digest if dev else None,
        "model": fingerprint(folder / MODEL),
    }
    with new_file(folder / DECISION) as unfinished:
        unfinished.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    return decision


def _measured(
    base: Path,
    tuned: Path,
    dev: DevSet,
    *,
    settings: GateSettings,
    folder: Path,
    embedder: Callable[[Path], Embedder],
    said: Callable[[str], None],
) -> dict[float, Mapping[str, float]]:
    """The dev values of the base, at weight 0, and of every candidate."""
    values: dict[float, Values] = {}
    tried = folder / TRIED
    try:
        for weight in (0.0, *settings.weights):
            said(f"dev {settings.measure} at weight {weight:g}")
            model = {0.0: base, 1.0: tuned}.get(weight)
            if model is None:
                model = interpolate(base, tuned, weight=weight, folder=tried)
            values[weight] = dev_values(
                dev, embedder(model), measure=settings.measure, file=folder / MEASURED
            )
    finally:
        shutil.rmtree(tried, ignore_errors=True)
    return values
