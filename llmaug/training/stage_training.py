"""The stages that mine negatives and train: once, for each ratio, or for a growing share."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.embedders.sentence import SentenceEmbedder
from llmaug.errors import ModelError
from llmaug.formats.atomic import new_file
from llmaug.retrieval.collection import contents
from llmaug.retrieval.qrels import Qrels
from llmaug.significance import bootstrap_interval
from llmaug.training.dev import DevSet, Values, dev_values
from llmaug.training.ledger import Stage
from llmaug.training.mined import MinedPair, Scores, read_mined, write_mined
from llmaug.training.mined_file import mine_to
from llmaug.training.pairs import Pair, pairs_of
from llmaug.training.quality import negative_quality
from llmaug.training.ratio import choose_ratio, saturated
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.recipe_sections import FUSION
from llmaug.training.saturation_plot import SaturationPoint, draw
from llmaug.training.settings import TrainingSettings
from llmaug.training.splits import qrels_of
from llmaug.training.stage_filter import dev_queries, training_pairs
from llmaug.training.stage_queries import place
from llmaug.training.teacher import CrossEncoderTeacher, FusionTeacher, Teacher
from llmaug.training.train import Trained
from llmaug.training.train import train as train_on

MINED, MODEL, VALUES = "mined.jsonl", "model", "dev_values.json"
TRAINED, CURVE, PICTURE = "trained.json", "saturation.json", "saturation.png"


def mine(run: RecipeRun) -> None:
    """Find hard negatives for every training pair."""
    settings = run.recipe.mine
    inputs = {"filter": run.digests["filter"], "mine": settings and dataclasses.asdict(settings)}
    with run.ledger.stage("mine", inputs=inputs) as stage:
        if not stage.done:
            pairs = training_pairs(run)
            file = stage.folder / MINED
            if settings is None:
                write_mined(file, (MinedPair(pair, Scores(), ()) for pair in pairs))
            else:
                found = mine_to(
                    file,
                    pairs,
                    run.base_index,
                    known=_known(run, pairs),
                    settings=settings,
                    teacher=_teacher(run),
                    progress=run.progress,
                )
                stage.counts["account"] = str(found.account)
            quality = negative_quality(read_mined(file))
            stage.counts |= {"quality": str(quality), **quality._asdict()}
    run.digests["mine"] = stage.digest
    run.told("mine", stage.counts, stage.counts["quality"])


def train(run: RecipeRun) -> None:
    """Train on the mined pairs; with several ratios, once for each, and dev queries choose."""
    ratios = run.recipe.train.ratios
    with run.ledger.stage("train", inputs=_training_inputs(run)) as stage:
        if not stage.done:
            if ratios:
                folder = _swept(run, stage, ratios)
            else:
                trained = _trained(run, stage.work / "training", list(_mined(run)))
                stage.counts |= _counted(trained)
                folder = stage.work / "training"
            shutil.copyfile(folder / TRAINED, stage.folder / TRAINED)
            if not (stage.folder / MODEL).exists():
                (folder / MODEL).rename(stage.folder / MODEL)
    run.digests["train"] = stage.digest
    counts = stage.counts
    chosen = f", ratio {counts['ratio']:g} chosen" if "ratio" in counts else ""
    line = f"{counts['steps']:,} steps, loss {counts['loss']:.4f} at the end{chosen}"
    run.told("train", counts, line)


def saturation(run: RecipeRun) -> None:
    """Train on growing shares of the synthetic queries and draw what each brings on dev."""
    shares = run.recipe.saturation
    if not shares:
        return
    inputs = {**_training_inputs(run), "shares": list(shares), "measure": measure_of(run)}
    with run.ledger.stage("saturation", inputs=inputs) as stage:
        if not stage.done:
            points, values = [], {}
            for share in shares:
                mined = _share(run, share)
                count = sum(one.pair.origin == "synthetic" for one in mined)
                folder = stage.work / f"{count}"
                _trained(run, folder, mined, ratio=None, stage="saturation")
                values[count] = dict(_on_dev(run, folder / MODEL, stage.work))
                found = list(values[count].values())
                interval = bootstrap_interval(found, seed=run.recipe.seed)
                mean = sum(found) / len(found)
                points.append(SaturationPoint(count, mean, interval.low, interval.high))
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            before = list(_on_dev(run, base_folder(run), stage.work).values())
            mean = sum(before) / len(before)
            end = saturated(values)
            drawn = [list(point) for point in points]
            curve = {"base": mean, "points": drawn, "saturated": end and end._asdict()}
            with new_file(stage.folder / CURVE) as unfinished:
                unfinished.write_bytes(orjson.dumps(curve))
            draw(points, stage.folder / PICTURE, base=mean, measure=measure_of(run))
            stage.counts |= {"base": mean, "points": drawn}
    run.digests["saturation"] = stage.digest
    last = stage.counts["points"][-1]
    line = f"{measure_of(run)} on dev {last[1]:.4f} with {last[0]:,} synthetic queries"
    run.told("saturation", stage.counts, f"{line}, {stage.counts['base']:.4f} before training")


def base_folder(run: RecipeRun) -> Path:
    """The folder of the model before training."""
    if not isinstance(run.base, SentenceEmbedder):
        raise ModelError(f"{run.base.name} has no weights here to train; name a folder, or minilm")
    return run.base.folder


def measure_of(run: RecipeRun) -> str:
    """By which measure models are compared on the dev queries."""
    return run.recipe.gate.measure if run.recipe.gate else "nDCG@10"


def dev_set(run: RecipeRun) -> DevSet | None:
    """The dev queries with the documents among which they search."""
    deciding, dev = dev_queries(run), run.recipe.dev
    if deciding is None or dev is None:
        return None
    return DevSet.of(
        run.base_index, deciding.queries, deciding.qrels, size=dev.pool, seed=run.recipe.seed
    )


def _training_inputs(run: RecipeRun) -> dict[str, Any]:
    return {
        "mine": run.digests["mine"],
        "train": dataclasses.asdict(run.recipe.train),
        "model": run.base.fingerprint,
    }


def _known(run: RecipeRun, pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """All documents that are known to answer each training query."""
    known: Qrels = qrels_of(pairs)
    if run.recipe.human is not None:
        for query, judged in qrels_of(pairs_of(run.split(run.recipe.human.split))).items():
            known.setdefault(query, {}).update(judged)
    return {query: list(judged) for query, judged in known.items()}


def _teacher(run: RecipeRun) -> Teacher | None:
    name = run.recipe.teacher
    if name is None:
        return None
    return (
        FusionTeacher(run.base_index)
        if name == FUSION
        else CrossEncoderTeacher(name, run.base_index)
    )


def _mined(run: RecipeRun) -> Sequence[MinedPair]:
    return list(read_mined(run.ledger.folder / "mine" / MINED))


def _share(run: RecipeRun, share: float) -> list[MinedPair]:
    """All human pairs and a share of the synthetic ones, drawn so that more hold fewer."""
    mined = _mined(run)
    synthetic = [one for one in mined if one.pair.origin == "synthetic"]
    drawn = sorted(synthetic, key=lambda one: place(one.pair.query_id, run.recipe.seed))
    kept = {one.pair.query_id for one in drawn[: max(1, round(share * len(drawn)))]}
    return [one for one in mined if one.pair.origin == "human" or one.pair.query_id in kept]


def _trained(
    run: RecipeRun,
    folder: Path,
    mined: Sequence[MinedPair],
    *,
    ratio: float | str | None = "as set",
    stage: str = "train",
) -> Trained:
    asked = run.recipe.train
    names = [field.name for field in dataclasses.fields(TrainingSettings)]
    settings = TrainingSettings(**{name: getattr(asked, name) for name in names})
    if not isinstance(ratio, str):
        settings = dataclasses.replace(settings, ratio=ratio)
    index = run.base_index
    return train_on(
        base_folder(run),
        mined,
        documents=lambda id: contents(index.document(id)),
        settings=settings,
        folder=folder,
        known=_known(run, [one.pair for one in mined]),
        progress=lambda done, total, loss: run.progress(stage, done, total),
    )


def _swept(run: RecipeRun, stage: Stage, ratios: Sequence[float]) -> Path:
    """Train once for each ratio of synthetic to human pairs; the folder of the one chosen."""
    mined, results, made = _mined(run), {}, {}
    for ratio in ratios:
        folder = stage.work / f"ratio-{ratio:g}"
        made[ratio] = _trained(run, folder, mined, ratio=ratio)
        results[ratio] = _on_dev(run, folder / MODEL, stage.work)
    choice = choose_ratio(results)
    stage.counts |= _counted(made[choice.ratio])
    stage.counts |= {
        "ratio": choice.ratio,
        "best_ratio": choice.best,
        "sweep": [dataclasses.asdict(row) for row in choice.rows],
    }
    run.said(str(choice))
    return stage.work / f"ratio-{choice.ratio:g}"


def _on_dev(run: RecipeRun, model: Path, work: Path) -> Values:
    dev = dev_set(run)
    assert dev is not None  # a recipe that compares has dev queries
    return dev_values(dev, embedder_named(str(model)), measure=measure_of(run), file=work / VALUES)


def _counted(trained: Trained) -> dict[str, Any]:
    return {
        "steps": trained.steps,
        "pairs": trained.pairs,
        "seconds": trained.seconds,
        "pairs_per_second": trained.pairs_per_second,
        "loss": trained.losses[-1],
    }
