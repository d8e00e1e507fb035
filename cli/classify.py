"""`llmaug classify`: train the small classifier, and see how good a classifier is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from llmaug.cli.classify_tables import as_json, in_parts, print_evaluation
from llmaug.cli.evaluate import short_names
from llmaug.cli.stages import Stages
from llmaug.errors import ClassifierError, PlanError

app = typer.Typer(
    no_args_is_help=True, help="A small text classifier: train it, and evaluate any classifier."
)
Option = typer.Option


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="labelled texts: .jsonl, .csv, .tsv, .parquet, …")],
    output: Annotated[Path, Option("--output", "-o", help="folder for the classifier")],
    text: Annotated[str | None, Option(help="field of the text [default: text]")] = None,
    label: Annotated[str, Option(help="field of the label")] = "label",
    embedder: Annotated[
        str, Option(help="minilm, a sentence-transformers folder, org/name, served:MODEL, …")
    ] = "minilm",
    regularisation: Annotated[
        float, Option(help="C of logistic regression: a lower one keeps it simpler")
    ] = 1.0,
    seed: Annotated[int, Option(min=0, help="decides the folds of cross-validation")] = 0,
    dev: Annotated[Path | None, Option(help="more labelled texts, only to evaluate on")] = None,
    limit: Annotated[int | None, Option(min=1, help="read only so many rows")] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …; a GPU where there is one")] = None,
    embedder_url: Annotated[
        str | None, Option("--embedder-url", help="address of the server for served:MODEL")
    ] = None,
) -> None:
    """Train a classifier on labelled texts: a sentence embedder and a logistic head.

    The folder holds safetensors and JSON; the embedder stays where it is and is found by its name.

    Example: `llmaug classify train reviews.jsonl -o reviews.classifier --dev dev.jsonl`
    """
    from collections import Counter

    from llmaug.classify.crossval import cross_validated
    from llmaug.classify.evaluation import evaluated
    from llmaug.classify.labelled import read_labelled
    from llmaug.classify.labels import examples
    from llmaug.classify.small import check_regularisation, encoded, train_on_vectors
    from llmaug.classify.small_folder import check_output
    from llmaug.embedders.embed import embedder as embedder_named

    check_output(output)
    try:
        check_regularisation(regularisation)
    except ClassifierError as error:
        raise PlanError(f"--regularisation: {error}") from None
    labelled = read_labelled(data, text=text, label=label, limit=limit)
    held_out = None if dev is None else read_labelled(dev, text=text, label=label)
    try:
        learned = examples(labelled.labels, texts=len(labelled.texts))
    except ClassifierError as error:
        raise ClassifierError(f"{data}: {error}") from None
    model = embedder_named(embedder, device=device, base_url=embedder_url)
    with Stages() as shown:
        vectors = encoded(labelled.texts, model, progress=shown.update)
    made = train_on_vectors(
        vectors, learned, embedder=model, regularisation=regularisation, seed=seed
    )
    made.save(output)

    counts = Counter(labelled.labels)
    classes = ", ".join(f"{one} {counts[one]:,}" for one in made.classes)
    print(f"{len(labelled.texts):,} texts of {len(made.classes)} classes: {classes}")
    found = cross_validated(vectors, learned, regularisation=regularisation, seed=seed)
    if found is None:
        print("no cross-validation: a class has a single text")
    else:
        print(f"accuracy {found.accuracy:.4f}, cross-validated over {found.folds} folds")
    if dev is not None and held_out is not None:
        with Stages() as shown:
            vectors = encoded(held_out.texts, model, progress=shown.update)
        chances = made.of_vectors(vectors)
        print_evaluation(dev, evaluated(chances, held_out.labels, classes=made.classes, seed=seed))
    print(
        f"written: {output}, fingerprint {made.fingerprint}; next: llmaug classify evaluate "
        f"{output} TEST",
        file=sys.stderr,
    )


@app.command()
def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="of `llmaug classify train`, or of a transformers classifier")
    ],
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="labelled texts")],
    text: Annotated[str | None, Option(help="field of the text [default: text]")] = None,
    label: Annotated[str, Option(help="field of the label")] = "label",
    classes: Annotated[
        str | None,
        Option(help="what a transformers folder calls LABEL_0,LABEL_1: negative,positive"),
    ] = None,
    plot: Annotated[
        Path | None, Option(help="draw how often it is right when it is so sure: out.png")
    ] = None,
    json: Annotated[bool, Option("--json", help="print JSON for programs, no tables")] = False,
    seed: Annotated[int, Option(min=0, help="decides the bootstrap interval")] = 0,
    limit: Annotated[int | None, Option(min=1, help="read only so many rows of each")] = None,
    embedder: Annotated[
        str | None, Option(help="where the embedder is now, if not where the folder says")
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …; a GPU where there is one")] = None,
    embedder_url: Annotated[
        str | None, Option("--embedder-url", help="where the server of a served embedder is now")
    ] = None,
) -> None:
    """Say how good a classifier is on labelled texts, and whether its probabilities are honest.

    Accuracy has a 95 % bootstrap interval. ECE is the distance between how sure it is and how
    often it is right, over 15 bins; NLL the mean of -log(probability of the true class).

    Example: `llmaug classify evaluate reviews.classifier test.jsonl other.csv --plot sure.png`
    """
    from llmaug.classify.classifiers import classifier
    from llmaug.classify.evaluation import evaluated
    from llmaug.classify.labelled import read_labelled
    from llmaug.classify.reliability_plot import check_picture
    from llmaug.classify.reliability_plot import plot as draw
    from llmaug.embedders.embed import embedder as embedder_named

    if plot is not None:
        check_picture(plot)
    files = {path: read_labelled(path, text=text, label=label, limit=limit) for path in data}
    named = (
        None if embedder is None else embedder_named(embedder, device=device, base_url=embedder_url)
    )
    found = classifier(
        folder,
        classes=[one.strip() for one in classes.split(",")] if classes is not None else None,
        device=device,
        embedder=named,
        base_url=embedder_url,
    )
    evaluations = {}
    with Stages() as shown:
        for path, labelled in files.items():
            chances = in_parts(found, labelled.texts, shown=shown, stage=path.name)
            evaluations[path] = evaluated(
                chances, labelled.labels, classes=found.classes, seed=seed
            )
    if plot is not None:
        names = short_names(list(evaluations))
        draw(
            plot,
            {name: evaluations[path].bins for name, path in zip(names, evaluations, strict=True)},
        )
        print(f"written: {plot}", file=sys.stderr)
    if json:
        print(as_json(found, evaluations))
        return
    for number, (path, made) in enumerate(evaluations.items()):
        if number:
            print()
        print_evaluation(path, made)
