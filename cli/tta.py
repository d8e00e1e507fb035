"""`llmaug tta`: test-time augmentation of a classifier, fitted, used and evaluated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmaug.cli import tta_evaluate, tta_inputs, tta_predict
from llmaug.cli.stages import Stages
from llmaug.errors import ClassifierError, PlanError

if TYPE_CHECKING:
    from llmaug.classify.fitting import Fitted
    from llmaug.classify.tta import TTAClassifier
    from llmaug.cli.tta_inputs import LabelledTexts

app = typer.Typer(
    no_args_is_help=True,
    help="Have texts rewritten where a classifier is unsure: fit, predict, evaluate.",
)
Option = typer.Option


@app.command()
def fit(
    data: Annotated[
        Path, typer.Argument(help="labelled texts that the classifier was not trained on")
    ],
    classifier: tta_inputs.ClassifierFolder,
    output: Annotated[Path, Option("--output", "-o", help="file for what is fitted: tta.json")],
    plan: Annotated[
        str, Option(help="what rewrites a text, or @FILE that says it")
    ] = "keep() + paraphrase(n=4)",
    lm: tta_inputs.Lm = None,
    judge: tta_inputs.Judge = None,
    base_url: tta_inputs.BaseUrl = None,
    lm_option: tta_inputs.LmOption = None,
    gate: Annotated[
        str, Option(help="which texts: settled, entropy, margin, max_probability, learned")
    ] = "settled",
    aggregation: Annotated[
        str, Option(help="how answers count: mean, logits, vote, entropy, learned")
    ] = "mean",
    budget: Annotated[
        float | None, Option(help="largest share of all rewrites to ask for, e.g. 0.42")
    ] = None,
    max_id_loss: Annotated[
        float | None, Option(help="accuracy that may be lost on texts like these, e.g. 0.0")
    ] = None,
    normalise: Annotated[
        bool, Option("--normalise", help="first free an open text of noise, at no cost")
    ] = False,
    adaptive: Annotated[
        bool, Option(help="ask for one rewrite at a time, until the decision is settled")
    ] = True,
    embedder: tta_inputs.EmbedderName = None,
    cache: Annotated[
        Path | None,
        Option(help="file of replies to reuse and add to [default: OUT.replies.sqlite]"),
    ] = None,
    seed: Annotated[int, Option(min=0, help="decides every random choice")] = 0,
    window: tta_inputs.Window = None,
    text: tta_inputs.TextField = None,
    id: tta_inputs.IdField = None,
    label: tta_inputs.LabelField = "label",
    classes: tta_inputs.Classes = None,
    device: tta_inputs.Device = None,
    plot: Annotated[
        Path | None, Option(help="draw what every gate brings against its calls: curve.png")
    ] = None,
) -> None:
    """Decide which texts are worth a rewrite, on labelled texts.

    For a budget alone no text is rewritten and no language model needed; --max-id-loss, a
    learned gate and a learned aggregation have all of them rewritten.

    Example: `llmaug tta fit dev.jsonl --classifier reviews.classifier --budget 0.42 -o tta.json`

    Example: `llmaug tta fit dev.jsonl --classifier reviews.classifier --max-id-loss 0.0
    --lm chat:qwen3-8b --base-url http://127.0.0.1:8000/v1 --plot curve.png -o tta.json`
    """
    from llmaug.classify.aggregation import check_kind as check_aggregation
    from llmaug.classify.openness import check_kind as check_gate
    from llmaug.cli.tta_tables import print_curve
    from llmaug.notation import plan_file
    from llmaug.vocabulary import parse

    check_gate(gate)
    check_aggregation(aggregation)
    _check_shares(budget=budget, max_id_loss=max_id_loss)
    _check_outputs(output, plot, read=(data, cache))
    step = parse(plan_file(plan[1:]) if plan.startswith("@") else plan)
    models = tta_inputs.models_named(
        lm, judge, base_url=base_url, lm_option=lm_option, embedder=embedder
    )
    found = tta_inputs.classifier_in(classifier, classes=classes, device=device)
    if max_id_loss is not None or "learned" in (gate, aggregation):
        models.check(step, found)
    given = tta_inputs.labelled_texts(data, text=text, id=id, label=label, classifier=found)

    from llmaug.classify.gate_curves import Remembered
    from llmaug.classify.remembered import RememberedModel
    from llmaug.classify.tta import TTAClassifier

    remembered = {role: RememberedModel(model) for role, model in models.language.items()}
    fitted = TTAClassifier(
        Remembered(found),
        step,
        remembered.get("lm"),
        judge=remembered.get("judge"),
        embedder=models.embedder,
        aggregation=aggregation,
        gate=gate,
        normalise=normalise,
        adaptive=adaptive,
        cache=tta_inputs.replies_beside(output, cache, models),
        seed=seed,
        window=window,
    )
    with Stages() as shown, tta_inputs.interruptible(fitted.cache):
        tta_inputs.show_work(shown, models, found)
        try:
            fitted.fit(given.texts, given.labels, budget=budget, max_id_loss=max_id_loss)
        except ClassifierError as error:
            raise ClassifierError(f"{data}: {error}") from None
    report = fitted.report_
    if plot is not None:
        _draw(plot, fitted, given)
    fitted.save(output)
    print(report)
    print_curve(report)
    _close(report, output=output, calls=sum(model.calls for model in models.language.values()))


def _draw(path: Path, fitted: TTAClassifier, given: LabelledTexts) -> None:
    """Draw the curves of all gates, fitted on the same answers."""
    from llmaug.classify.curve_plot import plot
    from llmaug.classify.gate_curves import gate_curves

    report = fitted.report_
    plot(
        path,
        gate_curves(fitted, given.texts, given.labels),
        chosen=(fitted.gate, report.chosen),
        plain=report.plain,
        rewritten=report.rewritten,
    )
    print(f"written: {path}", file=sys.stderr)


def _close(report: Fitted, *, output: Path, calls: int) -> None:
    if not report.chosen.texts:
        least = min((point.calls for point in report.curve if point.texts), default=1.0)
        print(
            "note: the gate is closed, so that no text is rewritten; the least that opens it is a "
            f"budget of {max(least, 1e-4):.2g}",
            file=sys.stderr,
        )
    print(f"{calls:,} calls of the language model", file=sys.stderr)
    print(f"written: {output}; next: llmaug tta predict {output} TEXTS -o OUT", file=sys.stderr)
    if report.failed:
        raise typer.Exit(1)


def _check_outputs(output: Path, plot: Path | None, *, read: tuple[Path | None, ...]) -> None:
    from llmaug.classify.reliability_plot import check_picture
    from llmaug.formats.atomic import check_file

    check_file(output)
    tta_inputs.check_not_read(output, plot, *read)
    if plot is not None:
        check_picture(plot)
        tta_inputs.check_not_read(plot, *read)


def _check_shares(**shares: float | None) -> None:
    for name, value in shares.items():
        if value is not None and not 0 <= value <= 1:
            option = f"--{name.replace('_', '-')}"
            raise PlanError(f"{option} is a share from 0 to 1, e.g. 0.42, not {value:g}")


app.command("predict")(tta_predict.predict)
app.command("evaluate")(tta_evaluate.evaluate)
