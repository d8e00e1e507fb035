"""The contract of a backend, as a check that authors of backends can run."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import orjson

from llmaug.request import Backend, Message, Reply, Request, Sampling

KEY_VARIABLES = ("LLMAUG_API_KEY", "OPENAI_API_KEY")
ASKED = Request(
    (Message("user", "the film was a mess from start to end"),), Sampling(max_tokens=16), seed=7
)


async def check_backend(backend: Backend, *, deterministic: bool = True) -> None:
    """Raise `AssertionError`, saying what is wrong, unless the backend keeps its contract.

    It is started, asked about 20 times for 16 tokens, and closed. `deterministic` says that the
    same seed must give the same reply whatever else is in flight.
    """
    _check_identity(backend)
    identity = _identity(backend)
    await backend.start()
    try:
        await _check_concurrency(backend, deterministic)
        await _check_cancellation(backend)
        _require(_identity(backend) == identity, "name and parameters must not change in use")
    finally:
        await backend.close()
    await backend.close()  # closing twice is harmless


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _identity(backend: Backend) -> bytes:
    try:
        parameters = orjson.dumps(dict(backend.parameters), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise AssertionError(f"parameters must be JSON-able: {error}") from None
    return backend.name.encode() + b"\n" + parameters


def _check_identity(backend: Backend) -> None:
    _require(
        isinstance(backend, Backend),
        "a backend has name, window, parameters, start, complete and close",
    )
    _require(bool(backend.name) and "\n" not in backend.name, "name must be one line, not empty")
    _require(backend.window >= 1, f"window must be at least 1, it is {backend.window}")
    shown = _identity(backend) + repr(backend).encode()
    for variable in KEY_VARIABLES:
        key = os.environ.get(variable, "")
        _require(
            not key or key.encode() not in shown,
            f"name, parameters and repr must not hold the key in {variable}",
        )


async def _check_concurrency(backend: Backend, deterministic: bool) -> None:
    alone = await backend.complete(ASKED)
    _check_reply(alone)
    requests = [replace(ASKED, sample=i, seed=7 + i // 2) for i in range(12)]
    together = await asyncio.gather(*map(backend.complete, requests))
    for reply in together:
        _check_reply(reply)
    if deterministic:
        again = await backend.complete(ASKED)
        _require(
            again == alone == together[0],
            "the same seed must give the same reply, alone and in company",
        )


def _check_reply(reply: Reply) -> None:
    _require(isinstance(reply, Reply), f"complete must return a Reply, not {type(reply).__name__}")
    _require(isinstance(reply.text, str), "a reply's text must be a string")
    _require(
        reply.finish in ("stop", "length", "content_filter"),
        f"finish must be stop, length or content_filter, not {reply.finish!r}",
    )


async def _check_cancellation(backend: Backend) -> None:
    tasks = [asyncio.ensure_future(backend.complete(replace(ASKED, seed=i))) for i in range(6)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results[1::2]:
        _require(
            isinstance(result, Reply), f"a neighbour's cancellation broke a request: {result!r}"
        )
    _check_reply(await backend.complete(ASKED))
