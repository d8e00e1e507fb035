"""Labelled texts from a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from llmaug.classify.labels import Class, plain_label
from llmaug.errors import ClassifierError, TextError
from llmaug.formats.fields import lacking, short
from llmaug.text import BadRow, read


class Labelled(NamedTuple):
    """The texts of a file and their labels, in its order."""

    texts: list[str]
    labels: list[Class]


def read_labelled(
    path: str | Path, *, text: str | None = None, label: str = "label", limit: int | None = None
) -> Labelled:
    """The texts and labels of a file in any format that `llmaug.read` reads.

    Raises `TextError` at the first row without a text, or whose label is neither a string nor a
    whole number, with its place; also for a file without rows.
    """
    found = Labelled([], [])
    for number, row in enumerate(read(path, text=text, limit=limit).rows(), 1):
        if isinstance(row, BadRow):
            raise TextError(row.message)
        where = f"{path}: row {number:,} (id {short(row.id)!r})"
        if label not in row.meta:
            hint = " (say which holds the label: --label FIELD)"
            raise TextError(f"{where}: {lacking(label, row.meta)}{hint}")
        value = row.meta[label]
        if value is None or (isinstance(value, str) and not value.strip()):
            raise TextError(f"{where}: the label in {label!r} is empty; give one or drop the row")
        try:
            found.labels.append(plain_label(value))
        except ClassifierError as error:
            raise TextError(f"{where}: {error}") from None
        found.texts.append(row.text)
    if not found.texts:
        raise TextError(f"{path} holds no texts")
    return found
