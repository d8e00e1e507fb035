"""Exemplars: texts of an in-domain file that a prompt shows, drawn for each text by itself."""

from __future__ import annotations

import functools
import itertools
import random
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmaug.errors import PlanError, TextError, did_you_mean
from llmaug.plan import Context
from llmaug.steps.generate import file_mark
from llmaug.steps.held_vectors import vectors_of
from llmaug.text import Text, read

if TYPE_CHECKING:
    import numpy as np

Label = str | int

PICKS = ("seeded", "nearest")
MOST_EMBEDDED = 100_000  # texts of a file that are compared with each text
LONGEST = 300  # characters of an exemplar that are shown


@dataclass(frozen=True, eq=False)
class ExemplarFile:
    """The texts of a file, each once, and the label of each where a field was named.

    Texts are equal when their letters and digits are; the first one counts.
    """

    name: str
    mark: str  # 12 hex digits of SHA-256
    texts: tuple[str, ...]
    places: Mapping[str, int]  # of a text, by its letters and digits
    classes: Mapping[Label | None, tuple[int, ...]]  # places by label; all under None without

    def holds(self, text: str) -> bool:
        """Whether the text stands in the file."""
        return letters(text) in self.places


def exemplar_file(file: str, label: str | None) -> ExemplarFile:
    """The file as it is now, read once for each state of it; `PlanError` says what is wrong."""
    return _read(file, label, file_mark(file))


@functools.lru_cache(maxsize=8)
def _read(file: str, label: str | None, mark: str) -> ExemplarFile:
    texts: list[str] = []
    places: dict[str, int] = {}
    classes: dict[Label | None, list[int]] = {}
    try:
        rows = read(file)
        if label is not None and label not in (fields := rows.fields()):
            raise PlanError(f"{file} has no field {label!r}; {did_you_mean(label, fields)}")
        for number, row in enumerate(rows, 1):
            own = None if label is None else label_of(row, label, f"{file}: row {number}")
            if (key := letters(row.text)) not in places:
                places[key] = len(texts)
                classes.setdefault(own, []).append(len(texts))
                texts.append(row.text)
    except TextError as error:
        raise PlanError(f"examples: {error}") from None
    if not texts:
        raise PlanError(f"{file} holds no texts; give a file of in-domain texts as examples")
    ordered = {own: tuple(classes[own]) for own in sorted(classes, key=str)}
    return ExemplarFile(file, mark, tuple(texts), places, ordered)


def label_of(text: Text, label: str, where: str) -> Label:
    """The label of a text; `PlanError` where its field is absent or holds anything else."""
    value: Any = text.meta.get(label)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        found = "no label" if value is None else f"the label {str(value)[:40]!r}"
        raise PlanError(
            f"{where} (id {text.id!r}) has {found} in the field {label!r}; "
            "a label is a string or a whole number"
        )
    return value


def letters(text: str) -> str:
    """The letters and digits of a text, whatever their case; the whole text if it has none."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()


def shown(text: str) -> str:
    """A text on one line of at most 300 characters, so that none can pass for instructions."""
    line = " ".join(text[: LONGEST * 4].split())
    if len(line) <= LONGEST:
        return line
    cut = line[: LONGEST - 1]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut[LONGEST // 2 :] else cut}…"


def check_exemplars(file: str, *, k: int, pick: str, label: str | None, balanced: bool) -> None:
    """Raise `PlanError` unless `k` texts can be drawn from the file in this way.

    `balanced` draws equal numbers of every class, else all are of one.
    """
    if not isinstance(file, str):
        raise PlanError(f"examples={file!r}: must be the name of a file")
    if label is not None and (not isinstance(label, str) or not label):
        raise PlanError(f"label={label!r}: must be the name of the field that holds the labels")
    if pick not in PICKS:
        raise PlanError(f"unknown pick {pick!r}; {did_you_mean(str(pick), PICKS)}")
    source = exemplar_file(file, label)
    count = len(source.texts)
    if k > count:
        raise PlanError(f"k={k}, and {file} has {count:,} different texts; give k={count} or less")
    if pick == "nearest" and count > MOST_EMBEDDED:
        raise PlanError(
            f"{file} holds {count:,} texts, and pick='nearest' compares with at most "
            f"{MOST_EMBEDDED:,}; give a sample of the file"
        )
    if label is not None:
        _check_classes(source, k, label, balanced)


def _check_classes(source: ExemplarFile, k: int, label: str, balanced: bool) -> None:
    sizes = {own: len(places) for own, places in source.classes.items()}
    if balanced and len(sizes) == 1:
        raise PlanError(
            f"{source.name} has one class only, {next(iter(sizes))!r} in the field {label!r}; "
            "leave label out"
        )
    shares = len(sizes) if balanced else 1
    if k < shares:
        raise PlanError(f"k={k} is less than the {shares} classes of {source.name}; give more")
    own = min(sizes, key=lambda one: sizes[one])
    if sizes[own] < k // shares:
        raise PlanError(
            f"k={k} shows {k // shares} texts of a class, and {source.name} has {sizes[own]} "
            f"different ones of {own!r}; give k={sizes[own] * shares} or less"
        )


async def drawn(
    source: ExemplarFile,
    text: Text,
    ctx: Context,
    *,
    k: int,
    pick: str,
    among: Sequence[Label | None],
) -> list[str]:
    """Exemplars for one text, as many of each class of `among`, `k` at most.

    Never the text itself or its root: another takes its place. Seeded, they are the first of an
    order that the run's seed decides, so the same for all texts but those; nearest, the
    last one shown is the most similar.
    """
    each = k // len(among)
    not_these = {letters(text.text), letters(ctx.root.text)}
    barred = {source.places[key] for key in not_these if key in source.places}
    if pick == "seeded":
        orders = [_order(source, own, ctx.seed) for own in among]
        chosen = [_first(order, each, barred) for order in orders]
        rows = itertools.zip_longest(*chosen)
        return [shown(source.texts[at]) for row in rows for at in row if at is not None]
    vectors = await vectors_of(source.texts, source.mark, ctx)
    cosines = (vectors @ (await ctx.embed([text.text]))[0]).round(4)
    best = [
        at for own in among for at in _first(_nearest(source.classes[own], cosines), each, barred)
    ]
    best.sort(key=lambda at: (cosines[at], -at))
    return [shown(source.texts[at]) for at in best]


@functools.lru_cache(maxsize=256)
def _order(source: ExemplarFile, own: Label | None, seed: int) -> list[int]:
    order = list(source.classes[own])
    random.Random(f"{seed} {own!r}").shuffle(order)
    return order


def _nearest(places: Sequence[int], cosines: np.ndarray) -> list[int]:
    """Places of a class by similarity, the most similar first; equal ones in the file's order."""
    import numpy as np

    at = np.asarray(places)
    return [int(one) for one in at[np.argsort(-cosines[at], kind="stable")]]


def _first(order: Sequence[int], count: int, barred: Collection[int]) -> list[int]:
    return list(itertools.islice((at for at in order if at not in barred), count))
