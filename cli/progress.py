"""What a person sees while a run goes on, and the lines at its end."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from llmaug.batch import Summary
from llmaug.job import Job
from llmaug.outcome import Spent, Tally
from llmaug.run import Run

PLAIN = 10.0  # seconds between two lines where there is no terminal


class Progress:
    """A bar with rate, time left, calls, cache hits and tokens; plain lines without a terminal."""

    def __init__(self, job: Job) -> None:
        self.console = Console(stderr=True)
        self.total = job.source.row_estimate()
        if self.total is not None and job.limit is not None:
            self.total = min(self.total, job.limit)
        self.began = self.printed = time.monotonic()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.task = self.bar.add_task("augment", total=self.total, counts="")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def update(self, tally: Tally, run: Run) -> None:
        rows = run.done + run.failed
        waiting = not rows and tally.spent == Spent()
        counts = "starting the model" if waiting else self._counts(tally)
        self.bar.update(self.task, completed=rows, counts=counts)
        if not self.console.is_terminal and time.monotonic() - self.printed >= PLAIN:
            self.printed = time.monotonic()
            of = f" of {self.total:,}" if self.total else ""
            print(f"{rows:,}{of} rows, {counts}", file=sys.stderr, flush=True)

    def _counts(self, tally: Tally) -> str:
        spent = tally.spent
        seconds = max(time.monotonic() - self.began, 1e-9)
        parts = [f"{(tally.done + tally.failed) / seconds:,.1f} rows/s", f"{spent.asked:,} calls"]
        if spent.cached + spent.merged:
            parts.append(f"{spent.cached + spent.merged:,} from cache")
        if spent.completion_tokens:
            parts.append(f"{spent.completion_tokens / seconds:,.0f} tok/s")
        if spent.retried:
            parts.append(f"{spent.retried:,} retries")
        if tally.failed:
            parts.append(f"{tally.failed:,} failed")
        return " · ".join(parts)

    def notice(self, message: str) -> None:
        self.console.print(message, highlight=False)


def closing_lines(summary: Summary, *, shown_output: str) -> list[str]:
    """The account of a run: rows, texts, drops by reason, calls, and where things are."""
    tally, spent = summary.tally, summary.tally.spent
    lines = [
        str(summary)
        + (f" ({summary.resumed:,} of them by an earlier run)" if summary.resumed else "")
    ]
    dropped = sum(tally.drops.values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.drops.most_common())
    lines.append(
        f"this run: {tally.texts:,} texts out, {dropped:,} dropped"
        + (f" ({reasons})" if reasons else "")
    )
    if spent.asked or spent.cached or spent.merged:
        lines.append(
            f"{spent.asked:,} calls, {spent.cached:,} from the cache, {spent.merged:,} "
            f"merged, {spent.retried:,} retries; {spent.prompt_tokens:,} prompt and "
            f"{spent.completion_tokens:,} reply tokens; {summary.seconds:,.1f} s"
        )
    lines += [f"note: {count:,} {event}" for event, count in sorted(tally.events.items())]
    if summary.failed:
        lines.append(
            f"failures: {summary.run / 'failures.jsonl'} (run the same command with --retry-failed)"
        )
    if summary.interrupted:
        lines.append(f"interrupted; what is finished is kept in {summary.run}")
    else:
        lines.append(f"written: {shown_output}")
    return lines
