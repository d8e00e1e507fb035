"""Serving on this machine for tests: HTTP requests in, OpenAI-style answers out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import orjson

REASONS = {
    200: "OK",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sends back; with `cut` it stops in the middle and closes the connection."""

    status: int
    body: bytes
    headers: tuple[str, ...] = ()
    cut: bool = False

    def encoded(self) -> bytes:
        head = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            *self.headers,
        ]
        body = self.body[: len(self.body) // 2] if self.cut else self.body
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def completion(text: str, *, finish: str = "stop", prompt_tokens: int = 0) -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(text) // 4}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return orjson.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})


def complaint(message: str, *, code: str | None = None, param: str | None = None) -> bytes:
    """The body of an error, as OpenAI's API writes it."""
    return orjson.dumps({"error": {"message": message, "code": code, "param": param}})


def model_list(name: str) -> bytes:
    """The body of `/models`."""
    return orjson.dumps({"object": "list", "data": [{"id": name, "object": "model"}]})


class Connection(asyncio.Protocol):
    """One client's connection, kept alive: reads whole requests and hands them to its server."""

    transport: asyncio.Transport

    def __init__(
        self,
        asked: Callable[[Connection, bytes, bytes], None],
        ended: Callable[[Connection], None],
    ) -> None:
        self.asked, self.ended = asked, ended
        self.unanswered = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.ended(self)

    def data_received(self, received: bytes) -> None:
        received = self._received + received
        if not received[:1].isalpha():
            self.write(Answer(400, b"").encoded())  # TLS, or nothing at all
            self.transport.close()
            return
        while (end := received.find(b"\r\n\r\n")) >= 0:
            head = received[:end]
            after = end + 4 + content_length(head)
            if len(received) < after:
                break
            body, received = received[end + 4 : after], received[after:]
            self.asked(self, head, body)
        self._received = received

    def write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


def content_length(head: bytes) -> int:
    """The length of the body that follows this head; a chunked body is not understood."""
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0] or 0)


class LocalServer:
    """A server on a port of this machine, opened by `start` and freed by `stop`.

    `async with` does both. `in_thread` serves from a thread with an event loop of its own, for
    tests of code that blocks. Subclasses say in `asked` what they answer.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    @property
    def url(self) -> str:
        """The base URL, once started; it stays the same over `stop` and `start`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, connection: Connection, head: bytes, body: bytes) -> None:
        raise TypeError(f"{type(self).__name__} does not say what it answers")

    def ended(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _connected(self) -> Connection:
        connection = Connection(self.asked, self.ended)
        self._connections.add(connection)
        return connection

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self._connected, "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await self._server.wait_closed()
        self._server = None
        await asyncio.sleep(0)  # lets the dropped connections end

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="local server", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.start(), loop).result(10)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self.stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
