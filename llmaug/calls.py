"""One backend's requests on their way: cache, merging of equal ones, pace, and trying again."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

import orjson

from llmaug.cache import ReplyCache
from llmaug.errors import BackendStopped, ReplyError, RequestRefused, Unavailable
from llmaug.outcome import Spent
from llmaug.pace import Pace
from llmaug.request import Backend, Reply, Request

RECENT = 60.0  # seconds within which an answer shows that the server works
MOST_TRIES = 8  # of one request that the server answers with an error
PATIENCE = 600.0  # seconds without any answer before the run stops


def canonical(request: Request) -> bytes:
    """A request as JSON in one form: messages, sampling, seed, sample and attempt."""
    try:
        return orjson.dumps(
            [
                [[m.role, m.content] for m in request.messages],
                request.sampling,
                request.seed,
                request.sample,
                request.attempt,
            ],
            option=orjson.OPT_SORT_KEYS,
        )
    except TypeError as error:
        raise RequestRefused(f"the text cannot be sent: {error}") from None


class Calls:
    """The way of a request to one backend and of its reply back.

    Equal requests in flight become one. A reply is stored before its slot is given back, so the
    requests that a kill can lose are never more than the window.
    """

    def __init__(
        self,
        backend: Backend,
        cache: ReplyCache | None,
        *,
        window: int,
        spent: Spent,
        patience: float = PATIENCE,
    ) -> None:
        self.backend, self.cache, self.spent = backend, cache, spent
        self.pace = Pace(window)
        self.patience = patience
        self._flying: dict[bytes, asyncio.Future[Reply]] = {}
        self._answered_at = float("-inf")
        self._identity = hashlib.sha256(
            orjson.dumps([backend.name, dict(backend.parameters)], option=orjson.OPT_SORT_KEYS)
        )

    def key(self, asked: bytes) -> bytes:
        """SHA-256 of everything that decides the reply: the backend and what it is asked."""
        digest = self._identity.copy()
        digest.update(asked)
        return digest.digest()

    async def complete(self, request: Request) -> Reply:
        """The reply to one request; raises `BackendError` subclasses as the backend does."""
        asked = canonical(request)
        key = self.key(asked)
        while (flying := self._flying.get(key)) is not None:
            self.spent.merged += 1
            try:
                return await asyncio.shield(flying)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flying.cancelled() or (task and task.cancelling()):
                    raise  # it is we who are cancelled, not the one that asked
        if self.cache is not None and (reply := self.cache.get(key)) is not None:
            self.spent.cached += 1
            return reply
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._flying[key] = future
        try:
            # The seed follows from the whole request: equal requests agree, samples differ.
            seed = int.from_bytes(hashlib.sha256(asked).digest()[:8], "big") >> 1
            seeded = Request(
                request.messages, request.sampling, request.sample, request.attempt, seed
            )
            reply = await self._ask(seeded, key)
        except BaseException as error:
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # nobody may be waiting, which is no fault
            else:
                future.cancel()
            raise
        finally:
            del self._flying[key]
        future.set_result(reply)
        return reply

    async def _ask(self, request: Request, key: bytes) -> Reply:
        trouble = _Trouble()
        while True:
            await self.pace.acquire()
            try:
                reply = await self.backend.complete(request)
            except Unavailable as error:
                self.pace.release()
                await self._wait_out(error, trouble)
                continue
            except BaseException:
                self.pace.release()
                raise
            self._arrived(key, reply)
            return reply

    def _arrived(self, key: bytes, reply: Reply) -> None:
        self._answered_at = time.monotonic()
        spent = self.spent
        spent.asked += 1
        spent.prompt_tokens += reply.prompt_tokens
        spent.completion_tokens += reply.completion_tokens
        self.pace.succeeded()
        if self.cache is not None and reply.finish == "stop":
            try:
                self.cache.put(key, reply, stored=self.pace.release)
            except ReplyError:
                self.pace.release()
                raise
        else:
            self.pace.release()

    async def _wait_out(self, error: Unavailable, trouble: _Trouble) -> None:
        """Sleep before the next try, or give the request or the whole run up.

        A request is given up only while others are answered: in an outage every request fails,
        and the run waits, or stops as a whole once `patience` is over.
        """
        now = time.monotonic()
        trouble.failures += 1
        others = self._answered_at > now - RECENT
        trouble.tries += others and error.answered and not error.overload
        if trouble.tries >= MOST_TRIES:
            raise Unavailable(f"given up after {trouble.tries} tries: {error}") from None
        if now - trouble.since > self.patience:
            if self._answered_at > trouble.since:
                raise Unavailable(
                    f"given up after {now - trouble.since:.0f} s and {trouble.failures} tries: "
                    f"{error}"
                ) from None
            raise BackendStopped(
                f"{self.backend.name} has given no reply for {now - trouble.since:.0f} s (last: "
                f"{error}); what is finished is kept, run the same command again once it works"
            ) from None
        self.spent.retried += 1
        if error.overload:
            self.pace.slow(error.retry_after)
        most = 30.0 if error.answered else 5.0
        wait = min(most, 0.25 * 2 ** min(trouble.failures, 10)) * random.uniform(0.5, 1.0)
        await asyncio.sleep(max(wait, error.retry_after or 0.0))


class _Trouble:
    """What one request has met so far."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.failures = 0
        self.tries = 0  # failures while other requests were answered
