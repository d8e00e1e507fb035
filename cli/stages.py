"""A progress bar for work that has several stages: documents, vectors, index, words."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN = 10.0  # seconds between two lines where there is no terminal


class Stages:
    """One line for each stage, with its rate and the time left; plain lines without a terminal."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.tasks: dict[str, tuple[TaskID, float]] = {}
        self.printed = self.told = time.monotonic()

    def __enter__(self) -> Stages:
        self.bar.start()
        self.told = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def say(self, line: str) -> None:
        """Show a line above the bars, once."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def update(self, stage: str, done: int, total: int | None) -> None:
        """Show how far a stage is, which began when the one before was last told of.

        What it had done before it was first told of is work like any other and took its time.
        """
        now = time.monotonic()
        if stage not in self.tasks:
            self.tasks[stage] = (self.bar.add_task(stage, total=total, rate=""), self.told)
        task, began = self.tasks[stage]
        self.told = now
        speed = done / max(now - began, 1e-9)
        rate = f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s" if done else ""
        self.bar.update(task, completed=done, total=total, rate=rate)
        if not self.console.is_terminal and now - self.printed >= PLAIN:
            self.printed = now
            of = f" of {total:,}" if total else ""
            print(f"{stage}: {done:,}{of} {rate}", file=sys.stderr, flush=True)
