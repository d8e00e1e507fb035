"""A Hugging Face model in this process, on the CPU or one GPU."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.backends.weights import identity, model_folder
from llmaug.errors import BackendError, BackendStopped, MissingExtra, RequestRefused
from llmaug.request import Reply, Request

if TYPE_CHECKING:
    from types import ModuleType

    from llmaug.backends.generation import Loaded, Row

CPU_BATCH, GPU_BATCH = 32, 128
MOST_TOKENS = 65_536  # of prompts and replies in one batch: bounds its memory
LINGER = 0.01  # seconds without a new request after which a batch starts


@dataclass(eq=False, slots=True)
class _Waiting:
    row: Row
    future: asyncio.Future[Reply]

    @property
    def size(self) -> tuple[int, int]:
        """Rows alike in this make a batch that wastes little on padding and on ended rows."""
        return self.row.request.sampling.max_tokens, len(self.row.tokens)


class TransformersBackend:
    """Answers requests in batches that it gathers from those waiting, in a thread of its own.

    Batches run one after another, and while one runs the next fills: of those waiting, the
    oldest goes next, together with those most like it in length. A reply depends on its request
    alone (seed, temperature, top_p, stop strings and limit are its own), up to the rounding of
    the model's arithmetic, which padding and batch size may change. A JSON schema in a request
    is not enforced here; whoever asked checks the reply.

    `dtype` is float32, bfloat16 or float16, by default the fastest that the device computes in
    by itself. A batch that does not fit into GPU memory is halved, for good.
    """

    def __init__(
        self,
        model: str,
        *,
        window: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        for option, value in (("window", window), ("batch_size", batch_size)):
            if value is not None and value < 1:
                raise BackendError(f"{option} must be at least 1, not {value}")
        self.model, self.name = model, f"transformers:{model}"
        self._wishes = {"device": device, "dtype": dtype}
        self._given_window, self._given_batch_size = window, batch_size
        self._loaded: Loaded | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._pool: list[_Waiting] = []
        self._running: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    @cached_property
    def device(self) -> str:
        return str(_generation().chosen_device(self._wishes["device"]))

    @cached_property
    def dtype(self) -> str:
        return str(_generation().chosen_dtype(self._wishes["dtype"], self.device))

    @cached_property
    def batch_size(self) -> int:
        return self._given_batch_size or (CPU_BATCH if self.device == "cpu" else GPU_BATCH)

    @cached_property
    def window(self) -> int:
        # One batch runs while another waits to be chosen from.
        return self._given_window or 2 * self.batch_size

    @cached_property
    def folder(self) -> Path:
        return model_folder(self.model)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        return {"dtype": self.dtype, **identity(self.folder)}

    async def start(self) -> None:
        """Load the model in a thread; raises `ModelError`, `MissingExtra` or `BackendStopped`."""
        if self._loaded is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        try:
            self._loaded = await asyncio.get_running_loop().run_in_executor(thread, self._load)
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            raise
        self._thread = thread

    def _load(self) -> Loaded:
        loaded: Loaded = _generation().load(self.folder, device=self.device, dtype=self.dtype)
        return loaded

    async def complete(self, request: Request) -> Reply:
        from llmaug.backends.generation import Row

        if self._loaded is None:
            raise BackendStopped(f"{self.name} is not running; await start() first")
        tokens = self._loaded.template.tokens(request.messages)
        context = self._loaded.context
        if context is not None and len(tokens) > (most := context - request.sampling.max_tokens):
            raise RequestRefused(
                f"too long for the model's context ({len(tokens)} tokens, limit "
                f"{most} beside a reply of {request.sampling.max_tokens})"
            )
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pool.append(_Waiting(Row(request, tokens, future.done), future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Give up what is waiting or running, and free the model."""
        for waiting in (*self._pool, *self._running):
            if not waiting.future.done():
                waiting.future.set_exception(BackendStopped(f"{self.name} was closed"))
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._loaded = self._thread = self._worker = None

    async def _work(self) -> None:
        """Batches, one after another, until nothing waits."""
        try:
            while await self._gathered():
                self._running = self._take()
                await self._answer(self._running)
                self._running = []
        finally:
            self._worker = None

    async def _gathered(self) -> bool:
        """Whether requests wait, after a moment for others that are on their way."""
        while True:
            self._pool = [waiting for waiting in self._pool if not waiting.future.done()]
            before = len(self._pool)
            if before >= self.batch_size:
                return True
            await asyncio.sleep(LINGER)
            if len(self._pool) == before:
                return before > 0

    def _take(self) -> list[_Waiting]:
        """The request that has waited longest and those most like it, out of the pool."""
        oldest = self._pool[0]
        ranked = sorted(self._pool, key=lambda waiting: waiting.size)
        place = next(i for i, waiting in enumerate(ranked) if waiting is oldest)
        start = max(0, min(place - self.batch_size // 2, len(ranked) - self.batch_size))
        batch = ranked[start : start + self.batch_size]
        while len(batch) > 1 and _tokens(batch) > MOST_TOKENS:
            batch.remove(batch[-1] if batch[-1] is not oldest else batch[0])
        chosen = set(batch)
        self._pool = [waiting for waiting in self._pool if waiting not in chosen]
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        generation = _generation()
        rows = [waiting.row for waiting in batch]
        try:
            replies = await asyncio.get_running_loop().run_in_executor(
                self._thread, generation.answer, self._loaded, rows
            )
        except generation.OutOfMemory:
            self._halve(batch)
            return
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(BackendStopped(f"{self.name} failed: {reason}"))
            return
        for waiting, reply in zip(batch, replies, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(reply)

    def _halve(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            self.batch_size = max(1, len(batch) // 2)
            self._pool = [*batch, *self._pool]
        elif not batch[0].future.done():
            batch[0].future.set_exception(
                RequestRefused(
                    f"too long for the memory of {self.device} ({batch[0].size[1]} tokens)"
                )
            )


def _tokens(batch: list[_Waiting]) -> int:
    """How many tokens a batch holds when its last reply ends, with padding."""
    limit = max(waiting.row.request.sampling.max_tokens for waiting in batch)
    length = max(len(waiting.row.tokens) for waiting in batch)
    return len(batch) * (limit + length)


def _generation() -> ModuleType:
    """The part that needs torch, or which package is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra("torch", "transformers") from None
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise MissingExtra("transformers", "transformers") from None
    from llmaug.backends import generation

    return generation
