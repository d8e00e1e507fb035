"""The stages that mine negatives and train: once, for each ratio, or for a growing share."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import RetrievalError, RunError
from llmaug.retrieval.collection import contents
from llmaug.steps.filters import normalised
from llmaug.steps.relevance import fingerprint
from llmaug.training.dev import DevSet, Values, dev_values
from llmaug.training.ledger import Stage
from llmaug.training.mine import TOO_FEW
from llmaug.training.mined import MinedPair, Scores, read_mined, write_mined
from llmaug.training.mined_file import mine_to
from llmaug.training.pairs import Pair
from llmaug.training.quality import negative_quality
from llmaug.training.ratio import choose_ratio
from llmaug.training.recipe_run import RecipeRun
from llmaug.training.recipe_sections import FUSION
from llmaug.training.settings import TrainingSettings
from llmaug.training.stage_filter import dev_queries, training_pairs
from llmaug.training.teacher import CrossEncoderTeacher, FusionTeacher, Teacher
from llmaug.training.train import train as train_on
from llmaug.training.training_folder import Trained

MINED, MODEL, VALUES = "mined.jsonl", "model", "dev_values.json"
TRAINED = "trained.json"
IN_PYTHON = "train with fresh=True"


def mine(run: RecipeRun) -> None:
    """Find hard negatives for every training pair."""
    settings = run.recipe.mine
    what = settings and {**dataclasses.asdict(settings), "teacher": _mark_of_teacher(run)}
    inputs = {"filter": run.digests["filter"], "mine": what}
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
                stage.counts |= {"account": str(found.account), "mined": found.account._asdict()}
            quality = negative_quality(read_mined(file))
            stage.counts |= {"quality": str(quality), **quality._asdict()}
    run.digests["mine"] = stage.digest
    left_out = stage.counts.get("mined", {}).get("too_few", 0)
    lost = f"; {left_out:,} pairs left out: {TOO_FEW}" if left_out else ""
    run.told("mine", stage.counts, stage.counts["quality"] + lost)


def train(run: RecipeRun) -> None:
    """Train on the mined pairs; with several ratios, once for each, and dev queries choose."""
    ratios = run.recipe.train.ratios
    with run.ledger.stage("train", inputs=training_inputs(run)) as stage:
        if not stage.done:
            if ratios:
                folder = _swept(run, stage, ratios)
            else:
                folder, ratio = stage.work / "training", run.recipe.train.ratio
                mined = mined_pairs(run)
                made = trained(run, folder, mined, ratio=ratio)
                stage.counts |= _counted(made)
                if ratio is not None:
                    _different(run, mined, [ratio])
                    effective = effective_ratio(mined, ratio)
                    stage.counts |= {"asked_ratio": ratio, "effective_ratio": effective}
            shutil.copyfile(folder / TRAINED, stage.folder / TRAINED)
            if not (stage.folder / MODEL).exists():
                (folder / MODEL).rename(stage.folder / MODEL)
    run.digests["train"] = stage.digest
    counts = stage.counts
    chosen = f", ratio {counts['ratio']:g} chosen" if "ratio" in counts else ""
    line = f"{counts['steps']:,} steps, loss {counts['loss']:.4f} at the end{chosen}"
    run.told("train", counts, line)


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


def training_inputs(run: RecipeRun) -> dict[str, Any]:
    """What decides a training."""
    return {
        "mine": run.digests["mine"],
        "train": dataclasses.asdict(run.recipe.train),
        "model": run.base.fingerprint,
    }


def _known(run: RecipeRun, pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """All documents that are known to answer each training query, or one of the same words."""
    everything = [*pairs, *run.human.kept, *(pair for pair, _ in run.human.dropped)]
    answers: dict[str, dict[str, None]] = {}
    for pair in everything:
        answers.setdefault(normalised(pair.query), {})[pair.document_id] = None
    known: dict[str, dict[str, None]] = {}
    for query, words in dict.fromkeys((one.query_id, normalised(one.query)) for one in everything):
        known.setdefault(query, {}).update(answers[words])
    return {query: list(of) for query, of in known.items()}


def _mark_of_teacher(run: RecipeRun) -> str | None:
    """What tells a teacher from others, wherever it lies."""
    name = run.recipe.teacher
    return name if name in (None, FUSION) else fingerprint(Path(name))


def _teacher(run: RecipeRun) -> Teacher | None:
    mine, name, index = run.recipe.mine, run.recipe.teacher, run.base_index
    if mine is None or name is None:
        return None
    if name == FUSION:
        return FusionTeacher(index, weight=mine.dense_weight)
    return CrossEncoderTeacher(name, index)


def mined_pairs(run: RecipeRun) -> Sequence[MinedPair]:
    """What there is to train on."""
    return list(read_mined(run.ledger.folder / "mine" / MINED))


def trained(
    run: RecipeRun,
    folder: Path,
    mined: Sequence[MinedPair],
    *,
    ratio: float | None,
    stage: str = "train",
) -> Trained:
    """Train the base in a folder, or go on there, with so many synthetic pairs to a human one."""
    asked, index = run.recipe.train, run.base_index
    names = [field.name for field in dataclasses.fields(TrainingSettings)]
    settings = TrainingSettings(**{name: getattr(asked, name) for name in names})
    settings = dataclasses.replace(settings, ratio=ratio)
    try:
        return train_on(
            run.base.folder,
            mined,
            documents=lambda id: contents(index.document(id)),
            settings=settings,
            folder=folder,
            known=_known(run, [one.pair for one in mined]),
            progress=lambda done, total, loss: run.progress(stage, done, total),
        )
    except (RetrievalError, RunError) as error:  # says what to do in Python, and this is a recipe
        raise type(error)(str(error).replace(IN_PYTHON, f"use --fresh-from {stage}")) from error


def _swept(run: RecipeRun, stage: Stage, ratios: Sequence[float]) -> Path:
    """Train once for each ratio of synthetic to human pairs; the folder of the one chosen."""
    mined, dev, results, made = mined_pairs(run), dev_set(run), {}, {}
    for ratio in _different(run, mined, ratios):
        folder = stage.work / f"ratio-{ratio:g}"
        made[ratio] = trained(run, folder, mined, ratio=ratio)
        results[ratio] = on_dev(run, dev, folder / MODEL, work=stage.work)
    choice = choose_ratio(results)
    stage.counts |= _counted(made[choice.ratio])
    stage.counts |= {
        "ratio": choice.ratio,
        "best_ratio": choice.best,
        "asked_ratio": choice.ratio,
        "effective_ratio": effective_ratio(mined, choice.ratio),
        "sweep": [
            {**dataclasses.asdict(row), "effective": effective_ratio(mined, row.ratio)}
            for row in choice.rows
        ],
    }
    run.said(str(choice))
    return stage.work / f"ratio-{choice.ratio:g}"


def effective_ratio(mined: Sequence[MinedPair], ratio: float) -> float:
    """How many synthetic pairs go with a human one in an epoch, of those that there are."""
    human = sum(one.pair.origin == "human" for one in mined)
    synthetic = len(mined) - human
    return round(min(ratio * human, synthetic)) / human if human else 0.0


def _different(
    run: RecipeRun, mined: Sequence[MinedPair], ratios: Sequence[float]
) -> Sequence[float]:
    """The ratios that do not come to the same; says which are more than there are pairs for."""
    effective = {ratio: effective_ratio(mined, ratio) for ratio in sorted(ratios)}
    most = effective_ratio(mined, math.inf)
    above = [ratio for ratio in effective if ratio > most]
    if above:
        named = ", ".join(f"{ratio:g}" for ratio in above)
        run.said(
            f"train: there are {most:.3g} synthetic pairs for a human one: ratio {named} is cut"
        )
    return list({of: ratio for ratio, of in reversed(effective.items())}.values())[::-1]


def on_dev(run: RecipeRun, dev: DevSet | None, model: Path, *, work: Path) -> Values:
    """What the dev queries say of a model."""
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
