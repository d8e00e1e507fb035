"""A language model that is not asked again for what no cache holds."""

from __future__ import annotations

from llmaug.calls import canonical
from llmaug.request import Backend, Reply, Request

MOST_KNOWN = 10_000  # replies held


class RememberedModel:
    """A language model that is asked once for each reply that was cut off or filtered.

    A reply cache holds only whole replies, so that asking for more rewrites of a text would ask
    for those again each time. Holds the last 10,000 in memory. See `Backend`.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.name, self.window, self.parameters = backend.name, backend.window, backend.parameters
        self._known: dict[bytes, Reply] = {}

    async def start(self) -> None:
        await self.backend.start()

    async def complete(self, request: Request) -> Reply:
        asked = canonical(request)
        if asked in self._known:
            return self._known[asked]
        reply = await self.backend.complete(request)
        if reply.finish != "stop":
            self._known[asked] = reply
            if len(self._known) > MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
        return reply

    async def close(self) -> None:
        await self.backend.close()
