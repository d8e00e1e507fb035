"""A language model that needs nothing: its replies are the text with its words shuffled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from llmaug.request import Reply, Request


class FakeBackend:
    """Answers every request at once, the same way every time, from its messages and seed alone.

    For tests, dry runs of a pipeline and measurements of the engine. `answer` replaces the
    built-in reply; `latency` is in seconds.
    """

    parameters: Mapping[str, Any] = {}

    def __init__(
        self,
        answer: Callable[[Request], str | Reply] | None = None,
        *,
        latency: float = 0.0,
        window: int = 64,
        name: str = "fake",
    ) -> None:
        self.name, self.window, self.latency = name, window, latency
        self.answer = answer or shuffled
        self.asked = 0

    async def start(self) -> None:
        pass

    async def complete(self, request: Request) -> Reply:
        self.asked += 1
        if self.latency:
            await asyncio.sleep(self.latency)
        reply = self.answer(request)
        if isinstance(reply, Reply):
            return reply
        return Reply(
            reply, "stop", sum(len(m.content) for m in request.messages) // 4, len(reply) // 4
        )

    async def close(self) -> None:
        pass


def shuffled(request: Request) -> str:
    """The words of the last paragraph, which is the text, in an order that the seed decides."""
    content = request.messages[-1].content
    words = content.rpartition("\n\n")[2].split() or content.split()
    random.Random(request.seed).shuffle(words)
    return " ".join(words)
