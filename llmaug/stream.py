"""Augment texts in memory: `for variant in augment(plan, texts, lm=…)`."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llmaug import plan as plans
from llmaug.backends import backend as backend_named
from llmaug.background import event_loop, keep_open
from llmaug.cache import ReplyCache
from llmaug.engine import Engine
from llmaug.errors import RowsFailed, TextError
from llmaug.job import check_opened
from llmaug.outcome import Drop, Failure, Outcome, Row
from llmaug.pace import Pace
from llmaug.plan import Step
from llmaug.request import Backend, Classifier, Embedder, Retriever
from llmaug.text import BadRow, Text, TextFile
from llmaug.vocabulary import parse

AHEAD = 4  # times the window: how far results may run ahead of their consumer


def augment(
    plan: str | Step,
    texts: Iterable[str | Text] | TextFile,
    *,
    lm: str | Backend | None = None,
    judge: str | Backend | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
    window: int | None = None,
    embedder: Embedder | None = None,
    classifier: Classifier | None = None,
    index: Retriever | None = None,
    failed: list[Failure] | None = None,
    dropped: list[Drop] | None = None,
    noticed: Counter[str] | None = None,
) -> Iterator[Text]:
    """The variants of each text, in the order of the texts, while later ones are being made.

    `texts` are strings (ids 0, 1, …), `Text`s or `read(...)`. Works inside a running event loop
    (a notebook) too: the engine has a thread of its own. Memory does not grow with the input.
    A backend given as an object stays loaded for the next call, until Python ends or `del`; one
    named by a string is closed at the end of the call.

    Rows that fail are added to `failed`; without that list, `RowsFailed` is raised after the
    last variant. Errors that no row could escape (wrong key, unknown model) are raised at once.
    Variants that a step dropped are added to `dropped`, each with the reason, and what steps
    noticed of the texts is counted in `noticed` once the last variant is there.
    """
    if isinstance(texts, str):
        raise TextError("texts must be a list of strings; for one text write [text]")
    check_opened(embedder, index, classifier)
    step = parse(plan)
    plans.check(step, texts.fields() if isinstance(texts, TextFile) else None)
    backends = {
        role: backend_named(given) if isinstance(given, str) else given
        for role, given in (("lm", lm), ("judge", judge))
        if given is not None
    }
    replies = ReplyCache(cache) if cache is not None else None
    engine = Engine(
        step,
        backends=backends,
        cache=replies,
        seed=seed,
        window=window,
        embed=embedder.encode if embedder else None,
        classify=classifier.probabilities if classifier else None,
        search=index.retrieve if index else None,
    )
    ours = [
        backends[role] for role, given in (("lm", lm), ("judge", judge)) if isinstance(given, str)
    ]
    for backend in backends.values():
        if backend not in ours:
            keep_open(backend)
    return _Stream(engine, _numbered(texts), ours=ours).texts(failed, dropped, noticed)


def _numbered(texts: Iterable[str | Text] | TextFile) -> Iterator[Row]:
    rows: Iterable[str | Text | BadRow] = texts.rows() if isinstance(texts, TextFile) else texts
    for number, text in enumerate(rows):
        if isinstance(text, str):
            if not text.strip():
                text = BadRow("", number, "empty text", f"text {number} is empty", str(number))
            else:
                text = Text(text, str(number), str(number))
        elif not isinstance(text, Text | BadRow):
            raise TextError(f"text {number} is a {type(text).__name__}, not a string or a Text")
        yield Row(number, text)


class _Stream:
    """An engine on the background loop, its outcomes put back into the order of the input."""

    def __init__(self, engine: Engine, rows: Iterator[Row], *, ours: Sequence[Backend]) -> None:
        self.engine, self.rows, self.ours = engine, rows, ours
        self.ready: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        self.room = Pace(AHEAD * engine.roots)
        self.begun = False
        self.ended = threading.Event()
        # Rows are pulled in a thread: getting one may wait for a disk, or for another `augment`.
        self.puller = ThreadPoolExecutor(1, thread_name_prefix="llmaug rows")

    def texts(
        self,
        failed: list[Failure] | None,
        dropped: list[Drop] | None,
        noticed: Counter[str] | None,
    ) -> Iterator[Text]:
        failures: list[Failure] = [] if failed is None else failed
        before = len(failures)
        loop = event_loop()
        running = asyncio.run_coroutine_threadsafe(self._run(), loop)
        early: dict[int, Outcome] = {}
        due = 0
        try:
            while (outcome := self.ready.get()) is not None:
                if isinstance(outcome, BaseException):
                    raise outcome
                early[outcome.row] = outcome
                while due in early:
                    now = early.pop(due)
                    due += 1
                    if now.failure:
                        failures.append(now.failure)
                    if dropped is not None:
                        dropped.extend(now.drops)
                    yield from now.texts
                    loop.call_soon_threadsafe(self.room.release)
        finally:
            running.cancel()
            while not self.ended.wait(0.1) and self.begun and loop.is_running():
                pass
            self.puller.shutdown(wait=False, cancel_futures=True)
        if noticed is not None:
            noticed.update(self.engine.tally.events)
        if failed is None and failures:
            first = failures[0]
            raise RowsFailed(
                f"{len(failures) - before} of {due} rows failed; the first: "
                f"{first.root}: {first.message}",
                failures,
            )

    async def _take(self) -> Row | None:
        await self.room.acquire()
        return await asyncio.get_running_loop().run_in_executor(self.puller, next, self.rows, None)

    async def _run(self) -> None:
        end: BaseException | None = None
        try:
            self.begun = True
            await self.engine.run((), self.ready.put, take=self._take)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            end = error
        finally:
            try:
                await self.engine.close(self.ours)
                if self.engine.cache is not None:
                    self.engine.cache.close()
            finally:
                self.ready.put(end)
                self.ended.set()
