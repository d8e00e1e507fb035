"""The chat backend: what it sends, and what it makes of every answer."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest
from asking import SCHEMA, TEXT, ask, request

from llmaug.backends import openai_format
from llmaug.backends.chat import ChatBackend
from llmaug.backends.fake import shuffled
from llmaug.errors import BackendError, BackendStopped, RequestRefused, Unavailable
from llmaug.request import Reply
from llmaug.testing_backend import check_backend
from llmaug.testserver import MisbehavingServer


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_reply_is_what_the_server_said() -> None:
    (reply,), server = ask(request(seed=5))
    assert reply == Reply(shuffled(request(seed=5)), "stop", 11, len(reply.text) // 4)
    assert server.requests == server.answered == 1


def test_keeps_the_contract_of_a_backend() -> None:
    async def run() -> int:
        async with MisbehavingServer(latency=0.01) as server:
            await check_backend(ChatBackend("test-model", base_url=server.url))
            return server.peak

    assert asyncio.run(run()) > 1


def test_body_holds_only_what_was_asked_for() -> None:
    sampling = {"temperature": 0.2, "max_tokens": 9}
    _, server = ask(request(seed=2**40 + 3, sampling=sampling))
    assert server.bodies[0] == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "Rewrite."}, {"role": "user", "content": TEXT}],
        "temperature": 0.2,
        "max_tokens": 9,
        "seed": 3,
    }


def test_body_holds_everything_that_was_asked_for() -> None:
    sampling = {"top_p": 0.9, "stop": ("END",), "schema": SCHEMA}
    options = {"extra_body": {"top_k": 20, "temperature": 1}}
    _, server = ask(request(sampling=sampling), options=options)
    (body,) = server.bodies
    assert (body["top_p"], body["stop"], body["top_k"], body["temperature"]) == (
        0.9,
        ["END"],
        20,
        1,
    )
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
    }


@pytest.mark.parametrize(
    ("refused", "there", "absent"),
    [
        ("response_format", "seed", "response_format"),
        ("max_tokens", "max_completion_tokens", "max_tokens"),
        ("seed", "max_tokens", "seed"),
    ],
)
def test_a_field_that_the_server_refuses_is_left_out_with_one_warning(
    refused: str, there: str, absent: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = request(sampling={"schema": SCHEMA})
    replies, server = ask(one, one, one, refuses=(refused,))
    assert len(replies) == 3
    assert server.requests == 4
    assert there in server.bodies[-1]
    assert absent not in server.bodies[-1]
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "llmaug"]
    assert f"does not take {refused}" in warning


def test_all_optional_fields_can_be_refused_at_once() -> None:
    async def run() -> set[str]:
        refused = ("response_format", "max_tokens", "seed")
        async with MisbehavingServer(refuses=refused, latency=0.01) as server:
            backend = ChatBackend("test-model", base_url=server.url)
            await backend.start()
            one = request(sampling={"schema": SCHEMA})
            await asyncio.gather(*[backend.complete(one) for _ in range(8)])
            await backend.close()
            return set(server.bodies[-1])

    assert asyncio.run(run()) == {"model", "messages", "temperature", "max_completion_tokens"}


def test_a_refused_field_of_extra_body_fails_the_row_instead_of_looping() -> None:
    with pytest.raises(RequestRefused, match="'seed' is not supported"):
        ask(options={"extra_body": {"seed": 1}}, refuses=("seed",))


def test_the_word_seed_in_a_repeated_text_does_not_take_the_seed_out() -> None:
    message = "Invalid message content: a sunflower seed was planted"
    with pytest.raises(RequestRefused, match="sunflower seed"):
        ask(status=400, message=message)


@pytest.mark.parametrize(
    ("troubles", "kind", "message"),
    [
        (
            {"status": 400, "message": "bad " * 200},
            RequestRefused,
            "refused the request (400): bad",
        ),
        ({"status": 422}, RequestRefused, "refused the request (422)"),
        ({"status": 413}, RequestRefused, "too long for the model's context"),
        ({"longest": 10}, RequestRefused, "too long for the model's context: This model's maximum"),
        ({"status": 401}, BackendStopped, "set LLMAUG_API_KEY (or OPENAI_API_KEY)"),
        ({"status": 403}, BackendStopped, "refuses the key (403)"),
        ({"status": 402}, BackendStopped, "out of credit"),
        ({"status": 404, "message": "Not Found"}, BackendStopped, "usually ends in /v1"),
        (
            {"status": 404, "message": "no model x"},
            BackendStopped,
            "not know the model 'test-model'",
        ),
        ({"status": 405}, BackendStopped, "has no chat completions (405): check the base URL"),
        ({"status": 408}, Unavailable, "answered 408: the server is in trouble"),
        ({"status": 409}, Unavailable, "answered 409"),
        ({"status": 425}, Unavailable, "answered 425"),
        ({"status": 500}, Unavailable, "answered 500"),
        ({"status": 502}, Unavailable, "answered 502"),
        ({"failing": 1.0}, Unavailable, "answered 500: internal error"),
        ({"reply": "not json"}, Unavailable, "200 with something that is not JSON: it works!"),
        ({"reply": "not utf-8"}, Unavailable, "200 with something that is not JSON"),
        ({"reply": "wrong shape"}, Unavailable, "200 without a chat completion"),
        ({"reply": "error inside"}, Unavailable, "the model behind the gateway is gone"),
        ({"reply": "halfway"}, Unavailable, "closed in the middle of the reply"),
    ],
)
def test_each_bad_answer_is_its_kind_of_error(
    troubles: dict[str, Any], kind: type[BackendError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        ask(**troubles)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350
    if isinstance(caught.value, Unavailable):
        assert caught.value.answered
        assert not caught.value.overload


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        ("100000", 120.0),
        ("inf", 120.0),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
    ],
)
def test_overload_says_how_long_to_wait(status: int, header: str, wait: float | None) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(status=status, retry_after=header)
    assert f"answered {status}" in str(caught.value)
    assert caught.value.overload
    assert caught.value.retry_after == wait


def test_the_wait_may_be_a_date() -> None:
    headers = {"Retry-After": formatdate(time.time() + 30, usegmt=True)}
    assert openai_format.retry_after(headers) == pytest.approx(30, abs=3)
    assert openai_format.retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert openai_format.retry_after({}) is None


def test_an_account_without_credit_stops_instead_of_waiting() -> None:
    payload = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    error = openai_format.error(429, payload, where="http://x/v1", model="m")
    assert isinstance(error, BackendStopped)
    assert "out of credit: You exceeded your quota" in str(error)


@pytest.mark.parametrize(
    ("trouble", "reply"),
    [
        ("empty", ("", "stop")),
        ("cut off", ("these words stop in the mid", "length")),
        ("filtered", ("", "content_filter")),
    ],
)
def test_poor_replies_are_handed_on_as_they_are(trouble: str, reply: tuple[str, str]) -> None:
    (answer,), _ = ask(reply=trouble)
    assert (answer.text, answer.finish) == reply


@pytest.mark.parametrize(
    ("message", "text", "finish"),
    [
        ('{"content": null}', "", "stop"),
        (
            '{"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}',
            "ab",
            "stop",
        ),
        ('{"content": null, "refusal": "I will not"}', "I will not", "content_filter"),
    ],
)
def test_content_comes_in_several_shapes(message: str, text: str, finish: str) -> None:
    payload = f'{{"choices": [{{"message": {message}, "finish_reason": "eos"}}]}}'.encode()
    assert openai_format.reply(payload) == Reply(text, finish)


@pytest.mark.parametrize(
    "message",
    [
        "the request exceeds the available context size, try increasing it",
        "Input length 900 exceeds max_model_len",
        "'max_tokens' is too large: this model's maximum context length is 4096 tokens",
        "prompt is too long: 250000 tokens > 200000 maximum",
    ],
)
def test_context_overflow_is_known_in_several_servers_words(message: str) -> None:
    with pytest.raises(RequestRefused, match="too long for the model's context"):
        ask(status=400, message=message)


def test_a_text_that_cannot_be_sent_fails_its_row() -> None:
    with pytest.raises(RequestRefused, match="cannot be written as JSON"):
        ask(request("half a pair \ud800"))
