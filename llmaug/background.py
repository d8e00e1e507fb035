"""One event loop in a thread of its own, so that models stay loaded between calls."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import threading
import weakref

from llmaug.request import Backend

PATIENT = 10.0  # seconds for a backend to close when Python ends

_open: weakref.WeakSet[Backend] = weakref.WeakSet()


@functools.cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, begun when it is first asked for."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="llmaug engine", daemon=True)
    thread.start()
    atexit.register(_end, loop, thread)
    return loop


# A forked child has the loop and not the thread that runs it.
os.register_at_fork(after_in_child=event_loop.cache_clear)


def keep_open(backend: Backend) -> None:
    """Close this backend when Python ends, and not before."""
    _open.add(backend)


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if not thread.is_alive():
        return
    for backend in list(_open):
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(backend.close(), loop).result(PATIENT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENT)
    loop.close()
