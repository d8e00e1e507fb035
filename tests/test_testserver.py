"""A chat backend and a server over time: hanging, dying, throttling, coming back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from asking import ask, request

from llmaug.backends.chat import ChatBackend
from llmaug.backends.fake import shuffled
from llmaug.errors import BackendStopped, Unavailable
from llmaug.request import Reply
from llmaug.testserver import FixedLatencyServer, MisbehavingServer


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_server_that_hangs_is_a_time_out() -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in time") as caught:
        ask(reply="hang", options={"timeout": 0.2})
    assert caught.value.answered
    assert time.monotonic() - started < 5


def test_cancelling_a_request_leaves_the_others_alone() -> None:
    async def run() -> tuple[list[Any], Reply, int]:
        async with MisbehavingServer(latency=0.1) as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            tasks = [asyncio.create_task(backend.complete(request(seed=i))) for i in range(4)]
            await asyncio.sleep(0.05)
            tasks[0].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            last = await backend.complete(request())
            await backend.close()
            return results, last, server.in_flight

    results, last, in_flight = asyncio.run(run())
    assert isinstance(results[0], asyncio.CancelledError)
    assert [r.text for r in results[1:]] == [shuffled(request(seed=i)) for i in (1, 2, 3)]
    assert last.text == shuffled(request())
    assert in_flight == 0


def test_a_server_that_dies_and_comes_back() -> None:
    async def run() -> Any:
        server = MisbehavingServer(latency=0.2)
        await server.start()
        backend = ChatBackend("test-model", base_url=server.url)
        await backend.start()
        flying = [asyncio.create_task(backend.complete(request(seed=i))) for i in range(3)]
        await asyncio.sleep(0.05)
        await server.stop()
        cut = await asyncio.gather(*flying, return_exceptions=True)
        down = await asyncio.gather(backend.complete(request()), return_exceptions=True)
        await server.start()
        back = await backend.complete(request())
        await backend.close()
        await server.stop()
        return cut, down, back

    cut, down, back = asyncio.run(run())
    for error in cut:
        assert isinstance(error, Unavailable)
        assert error.answered
        assert "connection" in str(error)
    assert isinstance(down[0], Unavailable)
    assert not down[0].answered
    assert str(down[0]).endswith("connection refused")
    assert back.text == shuffled(request())


def test_closing_ends_what_is_in_flight_and_refuses_more() -> None:
    async def run() -> Any:
        async with MisbehavingServer(reply="hang") as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            flying = asyncio.create_task(backend.complete(request()))
            await asyncio.sleep(0.05)
            await backend.close()
            return await asyncio.gather(flying, backend.complete(request()), return_exceptions=True)

    flying, later = asyncio.run(run())
    assert isinstance(flying, Unavailable)
    assert isinstance(later, BackendStopped)
    assert "not started, or was closed" in str(later)


def test_one_backend_serves_two_event_loops_one_after_the_other() -> None:
    with MisbehavingServer().in_thread() as server:
        backend = ChatBackend("test-model", base_url=server.url)

        async def run() -> str:
            await backend.start()
            reply = await backend.complete(request())
            await backend.close()
            return reply.text

        assert asyncio.run(run()) == asyncio.run(run())


def test_troubles_come_and_go() -> None:
    async def run() -> list[str]:
        async with MisbehavingServer(throttle_first=2, failing=0.5, seed=1) as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            seen = []
            for _ in range(12):
                try:
                    await backend.complete(request())
                    seen.append("ok")
                except Unavailable as error:
                    seen.append("429" if error.overload else "500")
            server.troubles.failing = 0.0
            await backend.complete(request())
            await backend.close()
            assert server.requests == 13
            return seen

    seen = asyncio.run(run())
    assert seen[:2] == ["429", "429"]
    assert set(seen[2:]) == {"ok", "500"}
    assert seen == asyncio.run(run())


def test_too_many_at_once_are_throttled() -> None:
    async def run() -> tuple[list[Any], int]:
        async with MisbehavingServer(most_at_once=3, latency=0.05) as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            asked = [backend.complete(request(seed=i)) for i in range(6)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            await backend.close()
            return results, server.answered

    results, answered = asyncio.run(run())
    throttled = [r for r in results if isinstance(r, Unavailable) and r.retry_after == 1.0]
    assert (answered, len(throttled)) == (3, 3)


def test_an_unknown_trouble_is_named() -> None:
    with pytest.raises(ValueError, match="unknown trouble 'fail'; did you mean failing"):
        MisbehavingServer(fail=1.0)


def test_the_fast_server_answers_every_request_the_same() -> None:
    async def run() -> set[str]:
        async with FixedLatencyServer(latency=0.0) as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            asked = [backend.complete(request(seed=i)) for i in range(50)]
            texts = {reply.text for reply in await asyncio.gather(*asked)}
            await backend.close()
            return texts

    assert asyncio.run(run()) == {"the same words in another order"}
