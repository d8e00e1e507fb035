"""The engine: runs a plan over many roots at once, in a sliding window, and accounts for each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from llmaug.cache import ReplyCache
from llmaug.calls import PATIENCE, Calls
from llmaug.context import Models, RootContext
from llmaug.errors import (
    BackendStopped,
    CacheError,
    LlmaugError,
    MissingExtra,
    ModelError,
    OutputError,
    PlanError,
    RetrievalError,
)
from llmaug.outcome import Failure, Outcome, Row, Tally
from llmaug.plan import Step
from llmaug.request import Backend
from llmaug.text import BadRow, Text

if TYPE_CHECKING:
    import numpy as np

# These stop the run: the next row would fail for the same reason, or its result would be lost.
FATAL = (BackendStopped, CacheError, MissingExtra, ModelError, OutputError, RetrievalError)
BREATH = 0.01  # seconds of work without a pause before the event loop gets a turn


class Engine:
    """Applies one plan to rows, one root at a time, many roots at once.

    `backends` are language models by role (`lm`, `judge`, …). `embed` and `classify` turn a list
    of strings into an array with one row each, `search` a list of queries and k into lists of
    texts; all three run in a thread on batches gathered from many roots. Seed, window and order
    of rows do not change what comes out for a row.
    """

    def __init__(
        self,
        plan: Step,
        *,
        backends: Mapping[str, Backend],
        cache: ReplyCache | None = None,
        seed: int = 0,
        window: int | None = None,
        embed: Callable[[list[str]], np.ndarray] | None = None,
        classify: Callable[[list[str]], np.ndarray] | None = None,
        search: Callable[[list[str], int], list[list[Text]]] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        if not -(2**63) <= seed < 2**63:
            raise PlanError(f"the seed {seed} does not fit 64 bits")
        for one in (window, *(backend.window for backend in backends.values())):
            if one is not None and one < 1:
                raise PlanError(f"the window must be at least 1, not {one}")
        self.plan, self.seed, self.tally = plan, seed, Tally()
        self.backends = backends
        self.cache = cache
        calls = {
            role: Calls(
                backend,
                cache,
                window=window or backend.window,
                spent=self.tally.spent,
                patience=patience,
            )
            for role, backend in backends.items()
        }
        self.models = Models(calls, embed=embed, classify=classify, search=search)
        slots = max((one.pace.most for one in calls.values()), default=64)
        # A few roots more than slots, so that a slot never waits for a root that is filtering.
        self.roots = slots + max(8, slots // 4)
        self.unfinished = False  # after `stop`: whether rows were left over
        self._stopping = False
        self._failure: Exception | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def run(
        self,
        rows: Iterable[Row],
        finish: Callable[[Outcome], None],
        *,
        take: Callable[[], Awaitable[Row | None]] | None = None,
    ) -> Tally:
        """Apply the plan to every row and hand each outcome to `finish`, as soon as it is known.

        Raises the first error that no later row could escape; outcomes handed over before it
        stand. `take` is awaited for each row in place of `rows`, where getting one may take time;
        None ends.
        """
        if self.cache is not None:
            self.cache.on_failure = self.fail
        self.models.check(self.plan)
        source = iter(rows)
        first = await take() if take else next(source, None)
        if first is None:
            return self.tally  # nothing to do, so no model is loaded for it
        begin = [first]
        for backend in self.backends.values():
            await backend.start()
        self._tasks = [
            asyncio.create_task(self._work(begin, source, finish, take)) for _ in range(self.roots)
        ]
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            if self._failure is None:
                raise
        except Exception as error:
            self.fail(error)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        self.unfinished = self._stopping and bool(begin or next(source, None))
        return self.tally

    async def close(self, backends: Iterable[Backend] | None = None) -> None:
        """Let go of models and connections: of all backends, or of these."""
        for backend in self.backends.values() if backends is None else backends:
            # What was finished is not lost for a backend that does not close well.
            with contextlib.suppress(Exception):
                await backend.close()
        self.models.close()

    def stop(self) -> None:
        """Take no more rows; those in flight are finished."""
        self._stopping = True

    def fail(self, error: Exception) -> None:
        """End the run with this error; rows in flight are given up."""
        if self._failure is None:
            self._failure = error
        for task in self._tasks:
            task.cancel()

    async def _work(
        self,
        begin: list[Row],
        source: Iterator[Row],
        finish: Callable[[Outcome], None],
        take: Callable[[], Awaitable[Row | None]] | None,
    ) -> None:
        began = time.monotonic()
        while not self._stopping:
            if begin:
                row: Row | None = begin.pop()
            else:
                row = await take() if take else next(source, None)
            if row is None:
                return
            outcome = await self._outcome(row)
            self._count(outcome)
            finish(outcome)
            if time.monotonic() - began > BREATH:
                await asyncio.sleep(0)
                began = time.monotonic()

    async def _outcome(self, row: Row) -> Outcome:
        text = row.text
        if isinstance(text, BadRow):
            return Outcome(
                row.number,
                None,
                failure=Failure(
                    row.number, text.id, text.error, text.message, 0, text.file, text.line
                ),
            )
        ctx = RootContext(self.models, self.tally, text, seed=self.seed, attempt=row.attempt)
        try:
            texts = await self.plan.apply([text], ctx)
        except FATAL:
            raise
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the run is over, not this row's request
            # A fault in one row's step or classifier is that row's failure, not the run's end.
            kind = type(error).__name__
            message = str(error) if isinstance(error, LlmaugError) else f"{kind}: {error}"
            return Outcome(
                row.number,
                text,
                failure=Failure(
                    row.number,
                    text.id,
                    kind,
                    " ".join(message.split())[:500],
                    row.attempt + ctx.requested,
                ),
            )
        return Outcome(row.number, text, _distinct_ids(texts, text), ctx.drops)

    def _count(self, outcome: Outcome) -> None:
        tally = self.tally
        if outcome.failure:
            tally.failed += 1
            return
        tally.done += 1
        tally.texts += len(outcome.texts)
        for drop in outcome.drops:
            tally.drops[drop.reason] += 1


def _distinct_ids(texts: list[Text], root: Text) -> list[Text]:
    """The same texts with ids that no other text of the output has.

    Where two have one id the later is renamed. An input that llmaug made before may stand beside
    what is made of its root now (`r1/edit.0` in the input, and again from `r1`), so each pass over
    such an output adds a slash: `r1//edit.0`.
    """
    passes = sum(name.endswith("made_by") for name in root.meta) if root.meta else 0
    if not passes and len({text.id for text in texts}) == len(texts):
        return texts
    seen: set[str] = set()
    distinct = []
    for text in texts:
        name, count = text.id, 1
        if passes and name.startswith(f"{root.id}/"):
            name = root.id + "/" * passes + name[len(root.id) :]
        plain = name
        while name in seen:
            count += 1
            name = f"{plain}~{count}"
        seen.add(name)
        distinct.append(text if name == text.id else replace(text, id=name))
    return distinct
