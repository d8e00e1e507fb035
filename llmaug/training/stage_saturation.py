"""The stage that shows how much better more synthetic queries make the model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

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


def saturation(run: RecipeRun) -> None:
    """Train on growing shares of the synthetic queries and draw what each brings on dev."""
    shares = run.recipe.saturation
    if not shares:
        return
    inputs = {**training_inputs(run), "shares": list(shares), "measure": measure_of(run)}
    with run.ledger.stage("saturation", inputs=inputs) as stage:
        if not stage.done:
            values = _values(run, stage, shares)
            points = [_point(count, values[count], run.recipe.seed) for count in values if count]
            before = _point(0, values.pop(0), run.recipe.seed).mean
            end, drawn = saturated(values), [list(point) for point in points]
            curve = {"base": before, "points": drawn, "saturated": end and end._asdict()}
            with new_file(stage.folder / CURVE) as unfinished:
                unfinished.write_bytes(orjson.dumps(curve))
            draw(points, stage.folder / PICTURE, base=before, measure=measure_of(run))
            stage.counts |= {"base": before, "points": drawn}
    run.digests["saturation"] = stage.digest
    last = stage.counts["points"][-1]
    line = f"{measure_of(run)} on dev {last[1]:.4f} with {last[0]:,} synthetic queries"
    run.told("saturation", stage.counts, f"{line}, {stage.counts['base']:.4f} before training")


def _values(run: RecipeRun, stage: Stage, shares: Sequence[float]) -> dict[int, Values]:
    """What each number of synthetic queries brings on dev; at 0 stands the base."""
    everything, dev, train = mined_pairs(run), dev_set(run), run.recipe.train
    values = {0: on_dev(run, dev, run.base.folder, work=stage.work)}
    for share in shares:
        mined = _share(run, everything, share)
        count = sum(one.pair.origin == "synthetic" for one in mined)
        if count in values:
            continue
        model = run.ledger.folder / "train" / MODEL
        if len(mined) < len(everything) or train.ratio is not None or train.ratios:
            folder = stage.work / f"{count}"
            model = trained(run, folder, mined, ratio=None, stage="saturation").model
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        values[count] = on_dev(run, dev, model, work=stage.work)
    return values


def _point(count: int, values: Values, seed: int) -> SaturationPoint:
    found = list(values.values())
    interval = bootstrap_interval(found, seed=seed)
    return SaturationPoint(count, sum(found) / len(found), interval.low, interval.high)


def _share(run: RecipeRun, mined: Sequence[MinedPair], share: float) -> list[MinedPair]:
    """All human pairs and a share of the synthetic ones, drawn so that more hold fewer."""
    synthetic = [one for one in mined if one.pair.origin == "synthetic"]
    drawn = sorted(synthetic, key=lambda one: place(one.pair.query_id, run.recipe.seed))
    count = max(2, round(share * len(drawn)))  # of fewer nothing can be learned
    kept = {one.pair.query_id for one in drawn[:count]}
    return [one for one in mined if one.pair.origin == "human" or one.pair.query_id in kept]
