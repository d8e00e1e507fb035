"""Augment a file into a file: the main job, resumable, with every row accounted for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmaug import plan
from llmaug.cache import ReplyCache
from llmaug.engine import Engine
from llmaug.errors import LlmaugError, OutputError, RunError, TextError
from llmaug.garbage import rare_collections
from llmaug.interruption import Interruption
from llmaug.job import Job, versions
from llmaug.outcome import Outcome, Row, Tally
from llmaug.run import Run
from llmaug.text import BadRow, check_output, record, write
from llmaug.watch import counts, watch


@dataclass(frozen=True)
class Summary:
    """What a run came to. `done` and `failed` include rows finished by earlier runs."""

    done: int
    failed: int
    tally: Tally
    seconds: float
    run: Path
    output: Path
    interrupted: bool = False
    resumed: int = 0  # rows that were finished before this run began

    @property
    def rows(self) -> int:
        return self.done + self.failed

    def __str__(self) -> str:
        return f"{self.rows:,} rows in = {self.done:,} done + {self.failed:,} failed"


def augment_file(
    job: Job,
    *,
    cache: Path | None = None,
    window: int | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    strict: bool = False,
    progress: Callable[[Tally, Run], None] | None = None,
    notice: Callable[[str], None] | None = None,
    patience: float = 600.0,
) -> Summary:
    """Run a job to its end and write its output; going on where an earlier run stopped.

    Rows in = rows done + rows failed, always. `strict` stops at the first input row that cannot
    be read. Ctrl-C (or SIGTERM) takes no more rows, finishes those in flight and returns a
    summary that is `interrupted`, without writing the output; a second one stops at once.

    Raises the `LlmaugError` that no row could escape (wrong key, disk full, …); rows finished
    by then are kept in the run directory.
    """
    check_output(job.output)
    plan.check(job.plan, job.source.fields())
    identity = job.identity()
    if job.output.resolve() == job.source.path.resolve():
        raise OutputError(f"{job.output} is the input; name another output")
    if job.output.exists() and not job.folder.exists() and not fresh:
        raise OutputError(
            f"{job.output} exists and no run of ours made it; use --fresh to "
            "replace it, or name another output"
        )
    run = Run(job.folder, identity, fresh=fresh, retry_failed=retry_failed, versions=versions())
    try:
        if job.limit is not None and run.reaches > job.limit:
            raise RunError(
                f"{run.folder} reaches row {run.reaches}, more than --limit {job.limit}; raise "
                "the limit, or use --fresh to start anew"
            )
        replies = ReplyCache(cache or job.folder / "replies.sqlite")
        try:
            with rare_collections():
                return asyncio.run(
                    _run(
                        job,
                        run,
                        replies,
                        window=window,
                        strict=strict,
                        progress=progress,
                        notice=notice or (lambda _: None),
                        patience=patience,
                    )
                )
        finally:
            replies.close()
    finally:
        run.close()


async def _run(
    job: Job,
    run: Run,
    cache: ReplyCache,
    *,
    window: int | None,
    strict: bool,
    progress: Callable[[Tally, Run], None] | None,
    notice: Callable[[str], None],
    patience: float,
) -> Summary:
    began, resumed = time.monotonic(), run.done + run.failed
    engine = Engine(
        job.plan,
        backends=job.backends,
        cache=cache,
        seed=job.seed,
        window=window,
        embed=job.embedder.encode if job.embedder else None,
        classify=job.classifier.probabilities if job.classifier else None,
        search=job.index.retrieve if job.index else None,
        patience=patience,
    )
    interrupted = Interruption(engine, notice)
    watching = asyncio.create_task(watch(run, engine, progress))
    state = "stopped"
    reading = _Reading(job, run, strict=strict)
    try:
        with interrupted.listening():
            await engine.run(iter(reading), _Appending(run, engine).append)
        state = "interrupted" if engine.unfinished else "complete"
    except LlmaugError as error:
        if run.done + run.failed:
            run.flush()
            error.add_note(
                f"so far {_equation(run)}, kept in {run.folder}; the same command goes on"
            )
        raise
    except asyncio.CancelledError:
        if not interrupted.asked:
            raise
        state = "interrupted"
    finally:
        watching.cancel()
        await engine.close()
        run.flush()
        run.sync()
        run.report(counts(run, engine.tally, state))
    if state == "complete":
        if reading.rows != run.done + run.failed:
            raise RunError(
                f"{reading.rows:,} rows were read and {_equation(run)}: a fault in llmaug; "
                "please report it, with --fresh the run starts anew"
            )
        run.tidy()
        _export(job, run)
    return Summary(
        run.done,
        run.failed,
        engine.tally,
        time.monotonic() - began,
        run.folder,
        job.output,
        state == "interrupted",
        resumed,
    )


class _Reading:
    """The input's rows that are not finished yet; `rows` counts all that were read."""

    def __init__(self, job: Job, run: Run, *, strict: bool) -> None:
        self.job, self.run, self.strict, self.rows = job, run, strict, 0

    def __iter__(self) -> Iterator[Row]:
        for number, text in enumerate(itertools.islice(self.job.source.rows(), self.job.limit)):
            if self.strict and isinstance(text, BadRow):
                raise TextError(f"{text.message} (--strict stops here)")
            self.rows += 1
            if not self.run.finished(number):
                yield Row(number, text, self.run.attempts.get(number, 0))


def _equation(run: Run) -> str:
    return f"{run.done + run.failed:,} rows in = {run.done:,} done + {run.failed:,} failed"


class _Appending:
    """Rows that end in one turn of the event loop are written together."""

    def __init__(self, run: Run, engine: Engine) -> None:
        self.run, self.engine = run, engine
        self.loop = asyncio.get_running_loop()
        self.due = False

    def append(self, outcome: Outcome) -> None:
        self.run.append(outcome)
        if not self.due:
            self.due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.due = False
        try:
            self.run.flush()
        except Exception as error:
            self.engine.fail(error)


def _export(job: Job, run: Run) -> None:
    fields = ["id", "root", "text", "made_by"]
    if not job.output.name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst", ".txt")):
        # Tables need their columns before the first row.
        seen = dict.fromkeys(fields)
        for texts in run.results():
            for text in texts:
                seen.update(dict.fromkeys(record(text)))
        fields = list(seen)
    write(job.output, (record(text) for texts in run.results() for text in texts), fields=fields)
