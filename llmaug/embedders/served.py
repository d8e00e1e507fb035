"""Embedders behind an OpenAI-compatible server: vLLM, TEI, llama.cpp, Ollama, a hosted API."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from llmaug.backends import connection, openai_format
from llmaug.backends.chat import CONNECT_TIMEOUT, LOCAL, OPENAI
from llmaug.embedders.served_format import dimensions_of, parts, sendable, vectors_in
from llmaug.errors import BackendError, BackendStopped, ModelError, RequestRefused, Unavailable

if TYPE_CHECKING:
    import aiohttp
    import numpy as np

IN_REQUEST = 64  # texts
IN_FLIGHT = 8  # requests
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds between tries, where the server names no time
BEGINNING = 60  # characters of a text that an error shows


def served(name: str, *, base_url: str | None = None, **options: Any) -> ServedEmbedder:
    """The embedder of `served:MODEL` or `openai:MODEL`; see `ServedEmbedder` for the options."""
    kind, _, model = name.partition(":")
    if kind == "openai" and base_url is not None:
        raise ModelError(f"{name} has an address of its own; for another write served:{model}")
    return ServedEmbedder(
        model,
        name=name,
        base_url=base_url or (OPENAI if kind == "openai" else LOCAL),
        **options,
    )


log = logging.getLogger("llmaug")


class ServedEmbedder:
    """A model behind `POST base_url/embeddings`, asked with several requests at once.

    The key comes from LLMAUG_API_KEY, else OPENAI_API_KEY; it is sent to that server only, and
    redirects are not followed. `in_request` is how many texts one request holds at most, `timeout`
    is for one request, `patience` for all tries of one, in seconds; a server that was never
    reached is not waited for. An empty text is sent as one space, since some servers refuse it.
    The fingerprint is of model and document prompt: weights that are changed behind an address
    cannot be seen from here.
    """

    def __init__(
        self,
        model: str,
        *,
        name: str = "",
        base_url: str = LOCAL,
        query_prompt: str = "",
        document_prompt: str = "",
        in_request: int = IN_REQUEST,
        key: str | None = None,
        timeout: float = 120.0,
        patience: float = 300.0,
    ) -> None:
        base = connection.address(base_url)
        self.name, self.model = name or f"served:{model}", model
        self.timeout, self.patience = timeout, patience
        self.endpoint = str(base.with_query(None))
        self._address = (base / "embeddings").with_query(base.query)
        self._key = connection.key_or_environment(key)
        self._prompts = {"query": query_prompt, "document": document_prompt}
        # Without what follows a question mark in the address, which may hold a secret.
        address = {} if self.name.startswith("openai:") else {"base_url": self.endpoint}
        given = {"query_prompt": query_prompt, "document_prompt": document_prompt}
        self.parameters: Mapping[str, Any] = address | {k: v for k, v in given.items() if v}
        about = orjson.dumps(
            # Not the address: a server may move, and the probe tells whether it is another model.
            [model, sendable(document_prompt)]
        )
        self.fingerprint = hashlib.sha256(about).hexdigest()[:12]
        self._in_request = in_request  # texts; fewer once the server wants fewer
        self.batch = in_request * IN_FLIGHT
        self._dimensions = 0  # until the first answer
        self._reached = False
        self._waiting = False  # for a server that was there and is not

    def __repr__(self) -> str:
        return f"ServedEmbedder({self.model!r}, base_url={self.endpoint!r})"

    def prompt(self, side: str) -> str:
        return self._prompts.get(side, "")

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        """See `Embedder`; raises `BackendError` where the server gives no usable vectors."""
        if not texts:
            return self.encode(["a"])[:0]
        sent = [sendable(self.prompt(side) + text) or " " for text in texts]
        if self.endpoint.startswith(OPENAI) and not self._key:
            raise BackendStopped(f"{self.endpoint} needs a key: set LLMAUG_API_KEY")
        return _finished(self._all(sent))

    async def _all(self, texts: list[str]) -> np.ndarray:
        import aiohttp
        import numpy as np

        headers = {"Content-Type": "application/json", "User-Agent": "llmaug"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        free = asyncio.Semaphore(IN_FLIGHT)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=CONNECT_TIMEOUT),
            headers=headers,
        ) as session:

            async def vectors(part: list[str]) -> np.ndarray:
                async with free:
                    return await self._part(session, part)

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(vectors(part))
                        for part in parts(texts, most=self._in_request)
                    ]
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        return np.concatenate([task.result() for task in tasks])

    async def _part(self, session: aiohttp.ClientSession, texts: list[str]) -> np.ndarray:
        """The vectors of one request's texts, in two requests where the server wants fewer."""
        import numpy as np

        try:
            return await self._patiently(session, texts)
        except RequestRefused as error:
            if len(texts) == 1:
                raise RequestRefused(
                    f"{error} (the text begins {texts[0][:BEGINNING]!r})"
                ) from None
        half = (len(texts) + 1) // 2
        halves = [await self._part(session, part) for part in (texts[:half], texts[half:])]
        self._in_request = min(self._in_request, half)
        return np.concatenate(halves)

    async def _patiently(self, session: aiohttp.ClientSession, texts: list[str]) -> np.ndarray:
        """The answer to one request, asked again while the server is in trouble."""
        give_up, wait = time.monotonic() + self.patience, FIRST_WAIT
        while True:
            try:
                return await self._once(session, texts)
            except Unavailable as error:
                pause = error.retry_after
                if pause is None:
                    pause = wait * random.uniform(0.5, 1)
                if time.monotonic() + pause > give_up:
                    raise Unavailable(f"{error} (given up after {self.patience:.0f} s)") from None
                if not error.answered and not self._waiting:
                    self._waiting = True
                    log.warning("%s; waiting for it up to %.0f s", error, self.patience)
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _once(self, session: aiohttp.ClientSession, texts: list[str]) -> np.ndarray:
        import aiohttp

        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        try:
            async with session.post(
                self._address, data=orjson.dumps(body), allow_redirects=False
            ) as response:
                payload = await response.read()
        except aiohttp.ClientSSLError as error:
            raise BackendStopped(
                f"no safe connection to {self.endpoint} ({connection.cause(error)})"
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            unreachable = isinstance(
                error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
            )
            cause = connection.cause(error)
            if unreachable and not self._reached:
                raise BackendStopped(
                    f"nothing answers at {self.endpoint} ({cause}): start the server or give its "
                    "base URL"
                ) from None
            raise Unavailable(f"{self.endpoint}: {cause}", answered=not unreachable) from None
        self._reached, self._waiting = True, False
        if response.status != 200:
            wait = openai_format.retry_after(response.headers)
            raise self._error(response.status, payload, wait)
        vectors = vectors_in(payload, len(texts), where=self.endpoint, secret=self._key)
        self._dimensions = dimensions_of(vectors, self._dimensions, where=self.endpoint)
        return vectors

    def _error(self, status: int, payload: bytes, wait: float | None) -> BackendError:
        said = openai_format.server_message(payload).lower()
        if 300 <= status < 400:
            return BackendStopped(
                f"{self.endpoint} redirects elsewhere ({status}), which is not followed: give the "
                "right address as the base URL"
            )
        if status in (404, 405) and "model" not in said:
            return BackendStopped(
                f"{self.endpoint} has no embeddings ({status}): check the base URL, which usually "
                "ends in /v1"
            )
        return openai_format.error(
            status, payload, where=self.endpoint, model=self.model, wait=wait, secret=self._key
        )


def _finished(work: Coroutine[Any, Any, np.ndarray]) -> np.ndarray:
    """The result of a coroutine, also where the calling thread runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def run() -> None:
        with contextlib.suppress(BaseException):  # kept in the task
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run, name="embeddings", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C
        with contextlib.suppress(RuntimeError):  # the loop may have ended just now
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    return task.result()
