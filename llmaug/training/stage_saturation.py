"""The stage that shows how much better more synthetic queries make the model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson

from llmaug.formats.atomic import new_file
from llmaug.significance import bootstrap_interval
from llmaug.training.dev import Values
from llmaug.training.ledger import Stage
from llmaug.training.mined import MinedPair
from llmaug.training.ratio import saturated
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.saturation_plot import SaturationPoint, draw
from llmaug.training.stage_queries import place
from llmaug.training.stage_training import (
    MODEL,
    dev_set,
    measure_of,
    mined_pairs,
    on_dev,
    trained,
    training_inputs,
)
from llmaug.training.training_folder import CHECKPOINTS

CURVE, PICTURE = "saturation.json", "saturation.png"
FEWEST = 2  # pairs; of fewer nothing can be learned


def saturation(run: RecipeRun) -> None:
    """Train on growing shares of the synthetic queries and draw what each brings on dev."""
    shares = run.recipe.saturation
    if not shares:
        return
    inputs = {**training_inputs(run), "shares": list(shares), "measure": measure_of(run)}
    with run.ledger.stage("saturation", inputs=inputs) as stage:
        if not stage.done:
            without = _without_synthetic(run, stage)
            lines = {name: point.mean for name, point in without.items()}
            values = _values(run, stage, shares)
            points = [_point(count, of, run.recipe.seed) for count, of in values.items()]
            end, drawn = saturated(values), [list(point) for point in points]
            intervals = {name: [point.low, point.high] for name, point in without.items()}
            curve = {**lines, "points": drawn, "saturated": end and end._asdict()}
            curve["intervals"] = intervals
            with new_file(stage.folder / CURVE) as unfinished:
                unfinished.write_bytes(orjson.dumps(curve))
            draw(points, stage.folder / PICTURE, measure=measure_of(run), **lines)
            stage.counts |= {**lines, "points": drawn}
    run.digests["saturation"] = stage.digest
    last = stage.counts["points"][-1]
    line = f"{measure_of(run)} on dev {last[1]:.4f} with {last[0]:,} synthetic queries"
    run.told("saturation", stage.counts, f"{line}, {stage.counts['base']:.4f} before training")


def _without_synthetic(run: RecipeRun, stage: Stage) -> dict[str, SaturationPoint]:
    """What dev says of the base and, where there are human pairs, after training on these."""
    dev, seed = dev_set(run), run.recipe.seed
    points = {"base": _point(0, on_dev(run, dev, run.base.folder, work=stage.work), seed)}
    human = [one for one in mined_pairs(run) if one.pair.origin == "human"]
    if len(human) >= FEWEST:
        model = _trained(run, stage, human, name="human")
        points["human"] = _point(0, on_dev(run, dev, model, work=stage.work), seed)
    return points


def _values(run: RecipeRun, stage: Stage, shares: Sequence[float]) -> dict[int, Values]:
    """What each number of synthetic queries brings on dev."""
    everything, dev, train = mined_pairs(run), dev_set(run), run.recipe.train
    values: dict[int, Values] = {}
    for share in shares:
        mined = _share(run, everything, share)
        count = sum(one.pair.origin == "synthetic" for one in mined)
        if count in values:
            continue
        model = run.ledger.folder / "train" / MODEL
        if len(mined) < len(everything) or train.ratio is not None or train.ratios:
            model = _trained(run, stage, mined, name=f"{count}")
        values[count] = on_dev(run, dev, model, work=stage.work)
    return values


def _trained(run: RecipeRun, stage: Stage, mined: Sequence[MinedPair], *, name: str) -> Path:
    """The model trained on these pairs, all of them in every epoch."""
    folder = stage.work / name
    model = trained(run, folder, mined, ratio=None, stage="saturation").model
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return model


def _point(count: int, values: Values, seed: int) -> SaturationPoint:
    found = list(values.values())
    interval = bootstrap_interval(found, seed=seed)
    return SaturationPoint(count, sum(found) / len(found), interval.low, interval.high)


def _share(run: RecipeRun, mined: Sequence[MinedPair], share: float) -> list[MinedPair]:
    """All human pairs and a share of the synthetic ones, drawn so that more hold fewer."""
    synthetic = [one for one in mined if one.pair.origin == "synthetic"]
    drawn = sorted(synthetic, key=lambda one: place(one.pair.query_id, run.recipe.seed))
    count = max(FEWEST, round(share * len(drawn)))
    kept = {one.pair.query_id for one in drawn[:count]}
    return [one for one in mined if one.pair.origin == "human" or one.pair.query_id in kept]
