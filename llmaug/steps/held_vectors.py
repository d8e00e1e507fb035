"""Vectors of texts that every root compares with: embedded once, not once a root."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmaug.plan import Context

if TYPE_CHECKING:
    import numpy as np

CHUNK = 256  # texts in one call, so that the texts of other roots come between
MOST_HELD = 4  # sets of texts for each embedder

_held: weakref.WeakKeyDictionary[Any, dict[str, asyncio.Future[np.ndarray]]] = (
    weakref.WeakKeyDictionary()
)


async def vectors_of(texts: Sequence[str], mark: str, ctx: Context) -> np.ndarray:
    """The embeddings of texts that `mark` stands for, (n, d) float32.

    Held as long as the embedder lives. The first root that asks embeds them and the others wait
    for it; when it is given up, one of those that wait takes over.
    """
    embedder = _embedder(ctx)
    if embedder is None:
        return await _embedded(texts, ctx)
    held = _held.setdefault(embedder, {})
    loop = asyncio.get_running_loop()
    while (others := held.get(mark)) is not None:
        if not others.done() and others.get_loop() is not loop:
            return await _embedded(texts, ctx)  # another thread's run, which cannot be awaited
        try:
            return await asyncio.shield(others)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not others.cancelled() or (task and task.cancelling()):
                raise  # it is we who are cancelled, not the one that embeds
    while len(held) >= MOST_HELD:
        held.pop(next(iter(held)))
    future: asyncio.Future[np.ndarray] = loop.create_future()
    held[mark] = future
    try:
        vectors = await _embedded(texts, ctx)
    except BaseException as error:
        held.pop(mark, None)
        if isinstance(error, Exception):
            future.set_exception(error)
            future.exception()  # nobody may be waiting, which is no fault
        else:
            future.cancel()
        raise
    future.set_result(vectors)
    return vectors


def _embedder(ctx: Context) -> object | None:
    """What makes the vectors of this run and may outlive it; None where the context hides it."""
    models = getattr(ctx, "models", None)
    work = getattr(getattr(models, "embed", None), "work", None)
    embedder = getattr(work, "__self__", work)
    try:
        hash(embedder)
        weakref.ref(embedder)
    except TypeError:  # an embedder of one's own that cannot be a key: then as long as the run
        return models
    return embedder


async def _embedded(texts: Sequence[str], ctx: Context) -> np.ndarray:
    import numpy as np

    parts = [await ctx.embed(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
    return np.concatenate(parts)
