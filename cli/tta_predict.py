"""`llmaug tta predict`: a label for every text of a file."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmaug.classify.account import Account
from llmaug.classify.deciding import Decision
from llmaug.classify.given_texts import TOGETHER
from llmaug.cli import tta_inputs
from llmaug.cli.stages import Stages
from llmaug.cli.tta_unread import Unread
from llmaug.errors import OutputError, PlanError, TextError, did_you_mean
from llmaug.text import BadRow, Text, TextFile, read

if TYPE_CHECKING:
    from llmaug.classify.tta import TTAClassifier

FIELDS = (
    "id",
    "text",
    "label",
    "probabilities",
    "plain_label",
    "opened",
    "asked",
    "variants",
    "fell_back",
    "failure",
)
WRITTEN = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")  # what holds more than a text
MOST_IDS = 5  # named where none of the ids is like the one given


def predict(
    file: Annotated[Path, typer.Argument(metavar="TTA", help="what `llmaug tta fit` wrote")],
    texts: Annotated[Path, typer.Argument(help="texts: .jsonl, .csv, .parquet, …")],
    classifier: tta_inputs.ClassifierFolder,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="where to; the ending says the format; - for stdout as JSONL"
        ),
    ] = None,
    lm: tta_inputs.Lm = None,
    judge: tta_inputs.Judge = None,
    base_url: tta_inputs.BaseUrl = None,
    lm_option: tta_inputs.LmOption = None,
    embedder: tta_inputs.EmbedderName = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="file of replies to reuse and add to [default: OUT.replies.sqlite]"),
    ] = None,
    window: tta_inputs.Window = None,
    text: tta_inputs.TextField = None,
    id: tta_inputs.IdField = None,
    classes: tta_inputs.Classes = None,
    device: tta_inputs.Device = None,
    explain: Annotated[
        str | None, typer.Option(help="only show how the decision on the text of this id is made")
    ] = None,
) -> None:
    """Label the texts of a file; those on which the classifier is unsure are rewritten first.

    A text whose rewriting fails is decided as it is, and its row says why. Rows that cannot be
    read are listed in OUT.failures.jsonl. Killed at any moment, the same command goes on without
    paying for a reply twice.

    Example: `llmaug tta predict tta.json reviews.csv --text body --classifier reviews.classifier
    --lm chat:qwen3-8b --base-url http://127.0.0.1:8000/v1 -o labels.jsonl`

    Example: `llmaug tta predict tta.json reviews.csv --classifier reviews.classifier --lm
    transformers:smollm2-135m --explain r17`
    """
    if (output is None) == (explain is None):
        raise PlanError("give either -o OUT for all texts, or --explain ID for one")
    target = None if output is None or str(output) == "-" else output
    if target is not None:
        _check_output(target, file, texts, cache)
    source = read(texts, text=text, id=id)
    models = tta_inputs.models_named(
        lm, judge, base_url=base_url, lm_option=lm_option, embedder=embedder
    )
    kept = cache if target is None else tta_inputs.replies_beside(target, cache, models)
    found = tta_inputs.classifier_in(classifier, classes=classes, device=device)
    fitted = tta_inputs.loaded(
        file, found, models, cache=kept, window=window, fields=source.fields()
    )
    if next(source.rows(), None) is None:
        raise TextError(f"{texts} holds no texts")
    with Stages() as shown, tta_inputs.interruptible(kept):
        tta_inputs.show_work(shown, models, found)
        if explain is not None:
            print(fitted.explain(_text_of(source, explain)))
            return
        account, unread = _written(fitted, source, target, shown)
    _close(account, unread, output=str(output), kept=kept, failures=_failures(target))


def _check_output(output: Path, *read: Path | None) -> None:
    from llmaug.formats.endings import ending
    from llmaug.text import check_output

    check_output(output)
    if ending(output) not in WRITTEN:
        raise OutputError(f"{output}: predictions are written as {', '.join(WRITTEN)}")
    tta_inputs.check_not_read(output, *read)


def _failures(output: Path | None) -> Path | None:
    return None if output is None else output.with_name(f"{output.name}.failures.jsonl")


def _text_of(source: TextFile, id: str) -> Text:
    """The text with this id."""
    seen: list[str] = []
    for row in source.rows():
        if isinstance(row, Text):
            if row.id == id:
                return row
            seen.append(row.id)
    close = difflib.get_close_matches(id, seen, n=3) or seen[:MOST_IDS]
    raise TextError(f"--explain {id}: there is no such text; {did_you_mean(id, close)}")


def _written(
    fitted: TTAClassifier, source: TextFile, output: Path | None, shown: Stages
) -> tuple[Account, int]:
    """Write a row for every text; what deciding came to, and how many rows cannot be read."""
    from llmaug.formats.jsonl import dumped
    from llmaug.text import write

    account = Account()
    with Unread(_failures(output)) as unread:
        rows = _rows(fitted, source, account=account, unread=unread, shown=shown)
        if output is None:
            for number, row in enumerate(rows, 1):
                sys.stdout.buffer.write(dumped(row, number=number) + b"\n")
            sys.stdout.flush()
        else:
            write(output, rows, fields=FIELDS)
    return account, unread.count


def _rows(
    fitted: TTAClassifier, source: TextFile, *, account: Account, unread: Unread, shown: Stages
) -> Iterator[dict[str, Any]]:
    """The row of every text, in order; memory holds those that are decided in one go."""
    before, number, total = fitted.rewriter_.calls, 0, source.row_estimate()
    rows = source.rows()
    while some := list(itertools.islice(rows, TOGETHER)):
        for place, bad in enumerate(some, number):
            if isinstance(bad, BadRow):
                unread.add(place, bad)
        for decision in fitted.decide(row for row in some if isinstance(row, Text)):
            account.add(decision, fitted.policy_.size)
            yield _row(decision, fitted.classifier_.classes)
        account.calls = fitted.rewriter_.calls - before
        number += len(some)
        shown.update("texts", number, total)


def _row(one: Decision, classes: Sequence[str | int]) -> dict[str, Any]:
    chances = zip(classes, one.probabilities.tolist(), strict=True)
    row = {
        "id": one.text.id,
        "text": one.text.text,
        "label": classes[int(one.probabilities.argmax())],
        "probabilities": {str(name): chance for name, chance in chances},
        "plain_label": classes[int(one.plain.argmax())],
        "opened": one.opened,
        "asked": one.asked,
        "variants": len(one.variants),
        "fell_back": one.fell_back,
    }
    return {**row, "failure": one.failure} if one.failure else row


def _close(
    account: Account, unread: int, *, output: str, kept: Path | None, failures: Path | None
) -> None:
    """Print the account on stderr; exit status 1 where rows or rewrites failed."""
    lines = [str(account)]
    lines.append(
        f"{account.texts + unread:,} rows in = {account.texts:,} rows out + {unread:,} failures"
    )
    if unread and failures is not None:
        lines.append(f"rows that cannot be read: {failures}")
    if kept is not None and account.asked:
        lines.append(f"replies are kept in {kept}; remove it when no more is to be asked")
    lines.append(f"written: {output}")
    for line in lines:
        print(line, file=sys.stderr)
    if unread or account.failed:
        raise typer.Exit(1)
