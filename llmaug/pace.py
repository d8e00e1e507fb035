"""How many requests a backend gets at once: as many as it likes, fewer while it is overloaded."""

from __future__ import annotations

import asyncio
import time
from collections import deque

DECREASE = 0.75  # the factor on an overload
SUCCESSES = 25  # how many earn one more slot
BURST = 1.0  # seconds in which many overloads count as one


class Pace:
    """A limit on requests in flight, by additive increase and multiplicative decrease.

    A slot is taken with `acquire` and given back with `release`. `slow` is told of an overload
    (429, 503): it lowers the limit once per burst and, when the server said how long to wait,
    lets nothing start before that.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.in_flight = 0
        self._successes = 0
        self._slowed_at = -BURST
        self._resume_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        while True:
            if self._resume_at:
                wait = self._resume_at - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                    continue
                self._resume_at = 0.0
            if self.in_flight < int(self.limit):
                self.in_flight += 1
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # the turn was given to us; pass it on
                raise

    def release(self) -> None:
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        self._successes += 1
        if self._successes >= SUCCESSES:
            self._successes = 0
            if self.limit < self.most:
                self.limit = min(float(self.most), self.limit + 1)
                self._wake()

    def slow(self, retry_after: float | None) -> None:
        now = time.monotonic()
        if retry_after:
            self._resume_at = max(self._resume_at, now + retry_after)
        if now - self._slowed_at >= BURST:
            self._slowed_at = now
            self.limit = max(1.0, self.limit * DECREASE)
            self._successes = 0

    def _wake(self) -> None:
        free = int(self.limit) - self.in_flight
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
