"""`llmaug tta evaluate`: what test-time augmentation brings on labelled texts, and costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmaug.cli import tta_inputs
from llmaug.cli.stages import Stages
from llmaug.cli.tta_inputs import LabelledTexts

if TYPE_CHECKING:
    from llmaug.classify.tta import TTAClassifier
    from llmaug.cli.tta_tables import Evaluated


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="TTA", help="what `llmaug tta fit` wrote")],
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="labelled texts")],
    classifier: tta_inputs.ClassifierFolder,
    lm: tta_inputs.Lm = None,
    judge: tta_inputs.Judge = None,
    base_url: tta_inputs.BaseUrl = None,
    lm_option: tta_inputs.LmOption = None,
    embedder: tta_inputs.EmbedderName = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="file of replies to reuse and add to [default: TTA.replies.sqlite]"),
    ] = None,
    window: tta_inputs.Window = None,
    text: tta_inputs.TextField = None,
    id: tta_inputs.IdField = None,
    label: tta_inputs.LabelField = "label",
    classes: tta_inputs.Classes = None,
    device: tta_inputs.Device = None,
    seed: Annotated[int, typer.Option(min=0, help="decides the bootstrap intervals")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="draw how often both are right when so sure: out.png")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON, no tables")] = False,
) -> None:
    """Compare a classifier without and with test-time augmentation, file by file.

    The difference of the accuracies has a 95 % paired bootstrap interval and the p of McNemar's
    exact test, corrected by Holm's method where there are several files.

    Example: `llmaug tta evaluate tta.json test.jsonl shifted.jsonl --classifier
    reviews.classifier --lm chat:qwen3-8b --base-url http://127.0.0.1:8000/v1 --plot sure.png`
    """
    from llmaug.classify.reliability_plot import check_picture
    from llmaug.cli import tta_tables

    if plot is not None:
        check_picture(plot)
        tta_inputs.check_not_read(plot, file, *data)
    models = tta_inputs.models_named(
        lm, judge, base_url=base_url, lm_option=lm_option, embedder=embedder
    )
    found = tta_inputs.classifier_in(classifier, classes=classes, device=device)
    kept = tta_inputs.replies_beside(file, cache, models)
    fitted = tta_inputs.loaded(file, found, models, cache=kept, window=window)
    given = {
        path: tta_inputs.labelled_texts(path, text=text, id=id, label=label, classifier=found)
        for path in data
    }
    made = {}
    with Stages() as shown, tta_inputs.interruptible(kept):
        tta_inputs.show_work(shown, models, found)
        for path, labelled in given.items():
            made[path] = _evaluated(fitted, labelled, shown=shown, stage=path.name, seed=seed)
    if plot is not None:
        _draw(plot, made)
        print(f"written: {plot}", file=sys.stderr)
    if json:
        print(tta_tables.as_json(fitted, made))
    else:
        tta_tables.print_evaluations(made)
    if kept is not None and any(one.account.asked for one in made.values()):
        print(f"replies are kept in {kept}", file=sys.stderr)
    if any(one.account.failed for one in made.values()):
        raise typer.Exit(1)


def _evaluated(
    fitted: TTAClassifier, given: LabelledTexts, *, shown: Stages, stage: str, seed: int
) -> Evaluated:
    import numpy as np

    from llmaug.classify.comparison import compared
    from llmaug.cli.tta_tables import Evaluated

    before, after = [], []
    decisions = fitted.decide(
        given.texts,
        progress=lambda account: shown.update(stage, account.texts, len(given.texts)),
    )
    for decision in decisions:
        before.append(decision.plain)
        after.append(decision.probabilities)
    return Evaluated(
        compared(
            np.array(before),
            np.array(after),
            given.labels,
            classes=fitted.classifier_.classes,
            seed=seed,
        ),
        fitted.account_,
    )


def _draw(path: Path, made: dict[Path, Evaluated]) -> None:
    from llmaug.classify.reliability_plot import plot
    from llmaug.cli.evaluate import short_names

    bins = {}
    for name, one in zip(short_names(list(made)), made.values(), strict=True):
        of = f"{name}: " if len(made) > 1 else ""
        bins[f"{of}without rewrites"] = one.comparison.before.bins
        bins[f"{of}with rewrites"] = one.comparison.after.bins
    plot(path, bins)
