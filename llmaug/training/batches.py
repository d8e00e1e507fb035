"""Which pairs go into which batch: a pure function of the settings, the seed and the epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from llmaug.training.settings import TrainingSettings


class Row(NamedTuple):
    """What of a training pair decides its batch.

    `difficulty` is the cosine of its hardest negative less that of its positive: higher is harder.
    """

    origin: str
    difficulty: float
    document: str
    query: str


def schedule(
    rows: Sequence[Row], settings: TrainingSettings, *, epoch: int, processes: int = 1
) -> list[list[int]]:
    """The batches of an epoch as places in `rows`: every row once, whatever the order.

    With a ratio, all human rows and a new draw of synthetic ones in every epoch, at most those
    that there are. No batch has a document or the text of a query twice: the later row waits for
    a later batch, so that the last ones may be smaller. Batches hold `settings.batch` rows for
    each process; where they do not share one of the last batches evenly, the rows too many are
    left out of this epoch.
    """
    batches = _apart(rows, _ordered(rows, settings, epoch=epoch), size=settings.batch * processes)
    even = [batch[: len(batch) // processes * processes] for batch in batches]
    return [batch for batch in even if batch]


def _ordered(rows: Sequence[Row], settings: TrainingSettings, *, epoch: int) -> list[int]:
    """The rows of an epoch in the order in which they want to be trained on."""
    # Each choice has a stream of its own, so that one switched off changes none of the others.
    order = random.Random(f"order of {settings.seed}, epoch {epoch}")
    chosen = _drawn(rows, settings, epoch=epoch)
    order.shuffle(chosen)
    if settings.curriculum == "shuffled":
        return chosen
    passes = settings.cycles if settings.curriculum == "cyclic" else 1
    return [
        row
        for start in range(passes)
        for row in sorted(chosen[start::passes], key=lambda row: rows[row].difficulty)
    ]


def _drawn(rows: Sequence[Row], settings: TrainingSettings, *, epoch: int) -> list[int]:
    if settings.ratio is None:
        return list(range(len(rows)))
    human = [place for place, row in enumerate(rows) if row.origin == "human"]
    synthetic = [place for place, row in enumerate(rows) if row.origin != "human"]
    wanted = min(round(settings.ratio * len(human)), len(synthetic))
    draw = random.Random(f"synthetic of {settings.seed}, epoch {epoch}")
    return sorted(human + draw.sample(synthetic, wanted))


def _apart(rows: Sequence[Row], order: Sequence[int], *, size: int) -> list[list[int]]:
    """Each row in the first batch with room after all that have its document or its query."""
    batches: list[list[int]] = []
    room: list[int] = []  # by batch: itself, or a later one to look at, once it is full
    after: dict[tuple[str, str], int] = {}
    for place in order:
        keys = ("document", rows[place].document), ("query", rows[place].query)
        batch = _with_room(room, max(after.get(key, 0) for key in keys))
        if batch == len(batches):
            batches.append([])
            room.append(batch)
        batches[batch].append(place)
        if len(batches[batch]) == size:
            room[batch] = batch + 1
        for key in keys:
            after[key] = batch + 1
    return batches


def _with_room(room: list[int], batch: int) -> int:
    """The first batch from this one on that is not full; the way there is shortened."""
    last = batch
    while last < len(room) and room[last] != last:
        last = room[last]
    while batch < last:
        room[batch], batch = last, room[batch]
    return last


class Course:
    """All batches of a training, epoch after epoch, as one of several processes takes them.

    Iterating begins at step `start`. `ends` holds for every epoch the steps done at its end.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        settings: TrainingSettings,
        *,
        processes: int = 1,
        process: int = 0,
    ) -> None:
        self._rows, self._settings = rows, settings
        self._processes, self._process = processes, process
        self.start, self.rows = 0, len(rows)
        lengths = (len(self._epoch(epoch)) for epoch in range(settings.epochs))
        self.ends = list(accumulate(lengths))
        whole = self.ends[-1]
        self.steps = whole if settings.steps is None else min(settings.steps, whole)

    def _epoch(self, epoch: int) -> list[list[int]]:
        return schedule(self._rows, self._settings, epoch=epoch, processes=self._processes)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        begin = 0
        for epoch, end in enumerate(self.ends):
            if end > self.start and begin < self.steps:
                first = max(self.start - begin, 0)
                for batch in self._epoch(epoch)[first : self.steps - begin]:
                    share = len(batch) // self._processes
                    yield batch[self._process * share : (self._process + 1) * share]
            begin = end
