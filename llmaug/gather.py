"""Calls from many roots gathered into batches for a model that works on lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LARGEST = 512  # items in one batch


class Gather:
    """Runs `work(list) -> one result for each item` in a thread, on whatever has gathered.

    While one batch runs the next one fills, so batches are as large as the load makes them and
    no caller waits for a batch to fill. An error reaches every caller of its batch.
    """

    def __init__(self, work: Callable[[list[Any]], Any], *, largest: int = LARGEST) -> None:
        self.work, self.largest = work, largest
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[list[Any]]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gather")
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Any]) -> list[Any]:
        """The results for these items, in order."""
        if not items:
            return []
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let the other roots of this moment join
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = self._take()
            flat = [item for items, _ in batch for item in items]
            try:
                results = await loop.run_in_executor(self._thread, self.work, flat)
                if len(results) != len(flat):
                    raise ValueError(f"{len(results)} results for {len(flat)} items")
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            start = 0
            for items, future in batch:
                if not future.done():
                    future.set_result(list(results[start : start + len(items)]))
                start += len(items)
        self._running = None

    def _take(self) -> list[tuple[Sequence[Any], asyncio.Future[list[Any]]]]:
        size, count = 0, 0
        for items, _ in self._waiting:
            if count and size + len(items) > self.largest:
                break
            size, count = size + len(items), count + 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
