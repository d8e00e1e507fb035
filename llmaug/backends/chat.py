"""Any OpenAI-compatible server: vLLM, llama.cpp, Ollama, SGLang, a hosted API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmaug.backends import connection, openai_format
from llmaug.errors import BackendError, BackendStopped, Unavailable, did_you_mean
from llmaug.request import Reply, Request

if TYPE_CHECKING:
    import aiohttp

LOCAL = "http://127.0.0.1:8000/v1"
OPENAI = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 10.0  # seconds
START_TIMEOUT = 5.0
# Shorter than the 5 s after which uvicorn closes an idle connection: a request must not be sent
# into a connection that the server is just closing.
KEEP_ALIVE = 4.0

log = logging.getLogger("llmaug")


class ChatBackend:
    """A model behind an OpenAI-compatible server, asked over one pool of connections.

    The key comes from LLMAUG_API_KEY, else OPENAI_API_KEY, else there is none; it is sent to the
    host of `base_url` only, redirects are not followed, and no message, name or parameter holds
    it. `timeout` is for one whole request, in seconds. `extra_body` is merged into every request
    last. A field that the server does not take (`response_format`, `seed`, `max_tokens`) is left
    out or renamed from then on, with one warning; a prompt's schema is checked by the caller
    anyway.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = LOCAL,
        window: int = 64,
        timeout: float = 120.0,
        extra_body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        base = connection.address(base_url)
        self.model, self.window, self.timeout = model, window, timeout
        self.name = f"chat:{model}"
        self.endpoint = str(base.with_query(None))
        self.parameters: Mapping[str, Any] = {"endpoint": self.endpoint}
        if extra_body:
            self.parameters = {"endpoint": self.endpoint, "extra_body": dict(extra_body)}
        self._extra = dict(extra_body or {})
        self._chat = (base / "chat/completions").with_query(base.query)
        self._models = (base / "models").with_query(base.query)
        self._key = connection.key_or_environment(key)
        self._without: frozenset[str] = frozenset()  # fields that the server does not take
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._troubles: tuple[type[Exception], ...] = ()

    def __repr__(self) -> str:
        return f"ChatBackend({self.model!r}, base_url={self.endpoint!r})"

    async def start(self) -> None:
        """Open the pool and look whether the server answers and serves the model."""
        import aiohttp

        if self._session is not None and self._loop is asyncio.get_running_loop():
            return
        self._loop = asyncio.get_running_loop()
        if not self._key and self.endpoint.startswith(OPENAI):
            raise BackendStopped(f"{self.endpoint} needs a key: set LLMAUG_API_KEY")
        headers = {"Content-Type": "application/json", "User-Agent": "llmaug"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._troubles = (aiohttp.ClientError, TimeoutError, OSError)
        await self.close()
        self._session = aiohttp.ClientSession(
            # The engine limits what is in flight; a second limit here would only queue.
            connector=aiohttp.TCPConnector(
                limit=0, ttl_dns_cache=300, keepalive_timeout=KEEP_ALIVE
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=CONNECT_TIMEOUT),
            headers=headers,
        )
        try:
            await self._look()
        except BaseException:
            await self.close()
            raise

    async def _look(self) -> None:
        import aiohttp

        assert self._session is not None
        try:
            async with self._session.get(
                self._models,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=START_TIMEOUT),
            ) as response:
                status, payload = response.status, await response.read()
                self._refuse_redirect(response)
        except self._troubles as error:
            trouble = self._unavailable(error)
            if isinstance(trouble, BackendStopped):
                raise trouble from None
            raise BackendStopped(
                f"nothing answers at {self.endpoint} ({connection.cause(error)}): start the "
                f"server, e.g. `vllm serve {self.model}`, or give another base URL"
            ) from None
        if status in (401, 403):
            raise self._error(status, payload)
        served = openai_format.served(payload) if status == 200 else []
        if served and not openai_format.is_served(self.model, served):
            names = openai_format.quote(did_you_mean(self.model, served), self._key)
            raise BackendStopped(f"{self.endpoint} does not serve {self.model!r}; {names}")

    async def complete(self, request: Request) -> Reply:
        while True:
            if self._session is None:
                raise BackendStopped(f"{self.name} is not started, or was closed")
            without = self._without
            sent = openai_format.body(request, self.model, without=without, extra=self._extra)
            try:
                async with self._session.post(
                    self._chat, data=sent, allow_redirects=False
                ) as response:
                    payload = await response.read()
            except self._troubles as error:
                raise self._unavailable(error) from None
            if response.status == 200:
                return openai_format.reply(payload, secret=self._key)
            self._refuse_redirect(response)
            field = openai_format.refused_field(
                response.status, payload, among=self._optional(request, without)
            )
            if not field:
                wait = openai_format.retry_after(response.headers)
                raise self._error(response.status, payload, wait)
            self._go_on_without(field)

    async def close(self) -> None:
        """Close every connection; requests in flight end with an error."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _optional(self, request: Request, without: frozenset[str]) -> list[str]:
        """The fields of a request that it can be sent without, should the server refuse them."""
        return [
            field
            for field in openai_format.SUBSTITUTES
            if field not in without
            and field not in self._extra
            and (field != "response_format" or request.sampling.schema is not None)
        ]

    def _go_on_without(self, field: str) -> None:
        if field in self._without:
            return  # another request in flight has learned it first
        self._without |= {field}
        other = openai_format.SUBSTITUTES[field]
        log.warning(
            "%s at %s does not take %s; going on %s",
            self.name,
            self.endpoint,
            field,
            f"with {other}" if other else "without it",
        )

    def _error(self, status: int, payload: bytes, wait: float | None = None) -> BackendError:
        return openai_format.error(
            status, payload, where=self.endpoint, model=self.model, wait=wait, secret=self._key
        )

    def _refuse_redirect(self, response: aiohttp.ClientResponse) -> None:
        from yarl import URL

        if not 300 <= response.status < 400:
            return
        try:
            place = str(self._chat.join(URL(response.headers.get("Location", ""))).origin())
        except ValueError:
            place = ""
        raise BackendStopped(
            f"{self.endpoint} redirects to {openai_format.quote(place, self._key)} "
            f"({response.status}), which is not followed: give the right base URL"
        )

    def _unavailable(self, error: Exception) -> BackendError:
        import aiohttp

        if isinstance(error, aiohttp.ClientSSLError):
            return BackendStopped(
                f"no safe connection to {self.endpoint} ({connection.cause(error)})"
            )
        unreachable = isinstance(
            error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
        )
        return Unavailable(f"{self.endpoint}: {connection.cause(error)}", answered=not unreachable)


def openai(
    model: str,
    *,
    window: int = 64,
    timeout: float = 120.0,
    extra_body: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> ChatBackend:
    """A model of the OpenAI API."""
    return ChatBackend(
        model, base_url=OPENAI, window=window, timeout=timeout, extra_body=extra_body, key=key
    )
