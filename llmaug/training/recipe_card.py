"""What the card of a recipe's model tells: what its stages came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from llmaug.job import versions
from llmaug.training.card_facts import CardFacts, Estimate, OnCollection, SweptRatio, TrainedOn
from llmaug.training.gate_decision import Decision
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.run_verdicts import Cuts
from llmaug.training.saturation_plot import SaturationPoint
from llmaug.training.stage_saturation import CURVE, PICTURE
from llmaug.training.stage_training import measure_of, mined_pairs

QUALITY = {  # of negatives, in the words of the card
    "pairs": "pairs",
    "negatives": "negatives",
    "random": "share drawn at random",
    "margin": "mean cosine below the positive's",
    "above": "share with a cosine above the positive's",
}
TRAINING = {
    "steps": "steps",
    "pairs": "pairs seen",
    "loss": "loss at the end",
    "seconds": "seconds",
    "pairs_per_second": "pairs a second",
}


def facts_of(run: RecipeRun, *, decision: Decision, tests: tuple[OnCollection, ...]) -> CardFacts:
    """The facts of a recipe whose other stages are done."""
    recipe, counts = run.recipe, run.counts
    screened, trained = counts["filter"], counts["train"]
    cut = Cuts(**counts.get("generate", {}).get("cut", {"cut": 0, "passages": 0, "tokens": 0}))
    return CardFacts(
        name=run.ledger.folder.name,
        base=Path(recipe.model).name,
        corpus=Path(recipe.corpus).name,
        documents=counts["base"]["documents"],
        trained_on=_trained_on(run),
        settings=recipe.record(),
        ratio=trained.get("effective_ratio"),
        ratio_asked=trained.get("asked_ratio"),
        sweep=_sweep(trained),
        training={said: trained[name] for name, said in TRAINING.items() if name in trained},
        divergence=_divergence(screened),
        cut=str(cut) if cut.cut else "",
        written=screened.get("written", 0),
        dropped=screened.get("dropped", {}),
        human_dropped=screened.get("human_dropped", {}),
        negatives=_negatives(counts["mine"]),
        decision=decision,
        dev=(recipe.dev.of or f"split {recipe.dev.split}") if recipe.dev else None,
        measure=measure_of(run),
        tests=tests,
        generator=recipe.generate.lm if recipe.generate else None,
        leakage=screened.get("leakage", {}),
        versions=versions(),
        **_curve(run.ledger.folder / "saturation" / CURVE),
    )


def _trained_on(run: RecipeRun) -> tuple[TrainedOn, ...]:
    """The training pairs by who wrote the query and by which plan."""
    pairs, queries = Counter[tuple[str, str]](), dict[tuple[str, str], set[str]]()
    for pair in (one.pair for one in mined_pairs(run)):
        kind = (pair.origin, pair.made_by.partition("@")[0] or "not said")
        pairs[kind] += 1
        queries.setdefault(kind, set()).add(pair.query_id)
    return tuple(TrainedOn(*kind, len(queries[kind]), count) for kind, count in pairs.most_common())


def _sweep(trained: Mapping[str, Any]) -> tuple[SweptRatio, ...]:
    rows = trained.get("sweep", ())
    return tuple(SweptRatio(**{name: row[name] for name in SweptRatio._fields}) for row in rows)


def _divergence(screened: Mapping[str, Any]) -> Estimate | None:
    apart = screened.get("divergence")
    return None if apart is None else Estimate(apart["auc"], *apart["interval"])


def _negatives(mined: Mapping[str, Any]) -> dict[str, float]:
    """Numbers about the negatives, then about those that were looked at and not taken."""
    told = {said: mined[name] for name, said in QUALITY.items() if mined[name] is not None}
    account = mined.get("mined")
    if account is None:
        return told
    told |= {"candidates": account["candidates"]}
    told |= {f"candidates dropped: {why}": count for why, count in account["dropped"].items()}
    told |= {"pairs with negatives drawn at random": account["short"]}
    return told | {"pairs left out: too few negatives": account["too_few"]}


def _curve(path: Path) -> dict[str, Any]:
    """The curve of the saturation stage, where there was one."""
    if not path.exists():
        return {}
    curve = orjson.loads(path.read_bytes())
    lines = {
        f"saturation_{name}": Estimate(curve[name], *curve.get("intervals", {}).get(name, ()))
        for name in ("base", "human")
        if name in curve
    }
    points = tuple(SaturationPoint(*point) for point in curve["points"])
    return {"saturation": points, "plot": PICTURE, **lines}
