"""Requests for the tests of the chat backend, and a server to ask them of."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from llmaug.backends.chat import ChatBackend
from llmaug.request import Message, Reply, Request, Sampling
from llmaug.testserver import MisbehavingServer

CANARY = "sk-canary-0123456789abcdef"
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}
TEXT = "the film was a mess from start to end"


def request(text: str = TEXT, **fields: Any) -> Request:
    sampling = Sampling(**fields.pop("sampling", {}))
    return Request((Message("system", "Rewrite."), Message("user", text)), sampling, **fields)


def ask(
    *requests: Request,
    options: dict[str, Any] | None = None,
    checked: bool = True,
    **troubles: Any,
) -> tuple[list[Reply], MisbehavingServer]:
    """The replies of a server with these troubles, one request after another."""

    async def run() -> tuple[list[Reply], MisbehavingServer]:
        async with MisbehavingServer(**troubles) as server:
            backend = ChatBackend("test-model", base_url=server.url, **(options or {}))
            await backend.start()
            try:
                return [await backend.complete(one) for one in requests or (request(),)], server
            finally:
                await backend.close()

    return asyncio.run(run())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(backend: ChatBackend) -> None:
    async def run() -> None:
        try:
            await backend.start()
        finally:
            await backend.close()

    asyncio.run(run())
