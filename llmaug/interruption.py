"""Ctrl-C and SIGTERM while a run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from llmaug.engine import Engine


class Interruption:
    """Ctrl-C and SIGTERM: the first lets rows in flight end, the second does not wait."""

    def __init__(self, engine: Engine, notice: Callable[[str], None]) -> None:
        self.engine, self.notice, self.asked = engine, notice, False
        self.task = asyncio.current_task()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._arrived)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _arrived(self) -> None:
        if self.asked:
            assert self.task is not None
            self.task.cancel()
            return
        self.asked = True
        self.engine.stop()
        self.notice("interrupted: finishing the rows in flight; Ctrl-C again stops at once")
