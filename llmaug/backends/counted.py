"""A language model whose calls are counted."""

from __future__ import annotations

from collections.abc import Callable

from llmaug.request import Backend, Reply, Request


class Counted:
    """Passes requests on to another backend and tells how many there were.

    It has the name and the parameters of the other one, so that caches do not tell them apart.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.calls = backend, 0
        self.name, self.window = backend.name, backend.window
        self.parameters = backend.parameters
        self.told: Callable[[int], None] = lambda calls: None

    async def start(self) -> None:
        await self.backend.start()

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        self.told(self.calls)
        return await self.backend.complete(request)

    async def close(self) -> None:
        await self.backend.close()
