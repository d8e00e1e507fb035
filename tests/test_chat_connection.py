"""The chat backend on its way to a server: addresses, keys, redirects, names of models."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from asking import CANARY, ask, free_port, request, start

from llmaug.backends import backend as make_backend
from llmaug.backends import openai_format
from llmaug.backends.chat import ChatBackend, openai
from llmaug.errors import BackendError, BackendStopped
from llmaug.testserver import MisbehavingServer


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_server_down_at_start() -> None:
    port = free_port()
    with pytest.raises(BackendStopped) as caught:
        start(ChatBackend("qwen3-8b", base_url=f"http://127.0.0.1:{port}/v1"))
    assert str(caught.value) == (
        f"nothing answers at http://127.0.0.1:{port}/v1 (connection refused): start the server, "
        "e.g. `vllm serve qwen3-8b`, or give another base URL"
    )


def test_unknown_host_at_start() -> None:
    with pytest.raises(BackendStopped, match=r"nothing answers at http://no-such\.invalid/v1 \("):
        start(ChatBackend("m", base_url="http://no-such.invalid/v1"))


def test_no_tls_where_https_was_asked_for() -> None:
    with (
        MisbehavingServer().in_thread() as server,
        pytest.raises(BackendStopped, match="no safe connection to https://"),
    ):
        start(ChatBackend("test-model", base_url=server.url.replace("http:", "https:")))


def test_unknown_model_at_start_names_what_is_served() -> None:
    with MisbehavingServer(model="qwen3-8b").in_thread() as server:
        with pytest.raises(BackendStopped, match="does not serve 'qwen3-8'; did you mean qwen3-8b"):
            start(ChatBackend("qwen3-8", base_url=server.url))
        with pytest.raises(BackendStopped, match="does not serve 'zzz'; known: qwen3-8b"):
            start(ChatBackend("zzz", base_url=server.url))
    assert server.requests == 0


def test_unknown_model_in_the_middle_of_a_run() -> None:
    async def run() -> None:
        async with MisbehavingServer() as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            server.model = "another"
            try:
                await backend.complete(request())
            finally:
                await backend.close()

    with pytest.raises(BackendStopped, match="does not know the model 'test-model': The model"):
        asyncio.run(run())


@pytest.mark.parametrize("models", ["missing", "garbage", "broken"])
def test_a_server_without_a_list_of_models_is_used_unchecked(models: str) -> None:
    replies, _ = ask(models=models)
    assert len(replies) == 1


@pytest.mark.parametrize(
    ("model", "served", "known"),
    [
        ("llama3", ["llama3:latest"], True),
        ("x/y:nitro", ["x/y"], True),
        ("gemini", ["models/gemini"], True),
        ("llama3:70b", ["llama3:latest"], False),
    ],
)
def test_servers_that_list_a_model_under_a_longer_name(
    model: str, served: list[str], known: bool
) -> None:
    assert openai_format.is_served(model, served) is known


def test_wrong_key_at_start() -> None:
    with (
        MisbehavingServer(key="right").in_thread() as server,
        pytest.raises(BackendStopped, match=r"refuses the key \(401\): set LLMAUG_API_KEY"),
    ):
        start(ChatBackend("test-model", base_url=server.url, key="wrong"))


@pytest.mark.parametrize("variable", ["LLMAUG_API_KEY", "OPENAI_API_KEY"])
def test_the_key_comes_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f" {CANARY}\n")
    replies, _ = ask(key=CANARY)
    assert len(replies) == 1


def test_our_key_goes_before_the_general_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUG_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    replies, _ = ask(key=CANARY)
    assert len(replies) == 1


def test_a_hosted_api_needs_a_key() -> None:
    with pytest.raises(
        BackendStopped, match=r"api\.openai\.com/v1 needs a key: set LLMAUG_API_KEY"
    ):
        start(openai("gpt"))
    assert openai("gpt").parameters == {"endpoint": "https://api.openai.com/v1"}
    assert make_backend("openai:gpt").name == "chat:gpt"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://me:hunter2@host/v1", "holds a user name or password"),
        ("http://me@host/v1", "holds a user name or password"),
        ("localhost:8000/v1", "write it like http://HOST:PORT/v1"),
        ("ftp://host/v1", "write it like http://HOST:PORT/v1"),
        ("http:///v1", "write it like http://HOST:PORT/v1"),
        ("http://host:hunter2/v1", "write it like http://HOST:PORT/v1"),
        ("", "write it like http://HOST:PORT/v1"),
    ],
)
def test_a_wrong_base_url_is_refused_and_not_repeated(url: str, message: str) -> None:
    with pytest.raises(BackendStopped) as caught:
        ChatBackend("m", base_url=url)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated() -> None:
    with pytest.raises(BackendStopped) as caught:
        ChatBackend("m", key=f"{CANARY}\nX-Forged: 1")
    assert "holds characters that cannot be sent" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_redirects_are_not_followed() -> None:
    async def run() -> int:
        async with MisbehavingServer() as other, MisbehavingServer() as server:
            server.troubles.redirect = other.url.replace("127.0.0.1", "localhost")
            backend = ChatBackend("test-model", base_url=server.url, key=CANARY)
            await backend.start()
            try:
                with pytest.raises(
                    BackendStopped, match="redirects to http://localhost:"
                ) as caught:
                    await backend.complete(request())
                assert "give the right base URL" in str(caught.value)
            finally:
                await backend.close()
            return other.requests

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize(
    "troubles",
    [
        {"status": status, "message": f"the key {CANARY} is wrong"}
        for status in (400, 401, 404, 413, 429, 500)
    ]
    + [
        {"redirect": f"http://{CANARY}.example/"},
        {"reply": "not json"},
        {"refuses": ("seed",)},
    ],
)
def test_the_key_is_nowhere_to_be_seen(
    troubles: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []

    async def run() -> None:
        async with MisbehavingServer(**troubles) as server:
            backend = ChatBackend("test-model", base_url=server.url, key=CANARY)
            shown.extend([backend.name, repr(backend), str(backend), str(backend.parameters)])
            await backend.start()
            try:
                await backend.complete(request())
            except BackendError as error:
                shown.append(str(error) + repr(error))
            finally:
                await backend.close()

    asyncio.run(run())
    assert len(shown) >= 4
    assert CANARY not in "".join(shown) + caplog.text


def test_a_secret_in_the_query_of_the_base_url_is_sent_but_not_shown() -> None:
    backend = ChatBackend("m", base_url=f"http://host/v1/?api-version=2&k={CANARY}")
    assert backend.parameters == {"endpoint": "http://host/v1/"}
    assert CANARY not in repr(backend)
