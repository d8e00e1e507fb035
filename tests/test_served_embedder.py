"""Embeddings from a server: in order, of unit length, through every trouble a server has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from llmaug.embedders.embed import FakeEmbedder, embedder
from llmaug.embedders.served import ServedEmbedder
from llmaug.errors import BackendError, BackendStopped, ModelError, RequestRefused, Unavailable
from llmaug.testserver import MisbehavingServer

TEXTS = [f"text number {number} of many" for number in range(200)]
HOSTILE = ["", "half \ud800", "\x00\x07 control", "word " * 200_000, "one more"]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer().in_thread() as started:
        yield started


def asking(server: MisbehavingServer, **options: Any) -> ServedEmbedder:
    return ServedEmbedder("test-model", base_url=server.url, **({"patience": 0.3} | options))


def test_vectors_come_in_the_order_of_the_texts_and_of_unit_length(server):
    vectors = asking(server).encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, FakeEmbedder().encode(TEXTS), atol=1e-6)


def test_hostile_texts_are_embedded(server):
    vectors = asking(server).encode(HOSTILE)
    expected = FakeEmbedder().encode([text or " " for text in HOSTILE])
    assert np.allclose(vectors, expected, atol=1e-6)


def test_no_texts_give_no_rows_of_the_right_width(server):
    assert asking(server).encode([]).shape == (0, 256)


def test_the_body_is_what_servers_take(server):
    asking(server).encode(["some words"])
    (body,) = server.bodies
    assert body == {"model": "test-model", "input": ["some words"], "encoding_format": "float"}


def test_several_requests_are_in_flight_at_once():
    with MisbehavingServer(latency=0.02).in_thread() as server:
        embedded = asking(server)
        assert embedded.encode(TEXTS * 4).shape == (800, 256)
        assert (server.requests, server.peak) == (13, 8)
        assert embedded.batch == 512


def test_a_request_holds_no_more_texts_than_asked(server):
    given = embedder("served:test-model", base_url=server.url, batch_size=3)
    given.encode(TEXTS[:7])
    assert sorted(len(body["input"]) for body in server.bodies) == [1, 3, 3]
    assert given.batch == 24


def test_each_side_has_its_prompt(server):
    given = embedder(
        "served:test-model",
        base_url=server.url,
        query_prompt="query: ",
        document_prompt="passage: ",
    )
    for side in ("query", "document", ""):
        given.encode(["words"], side=side)
    assert [body["input"] for body in server.bodies] == [
        ["query: words"],
        ["passage: words"],
        ["words"],
    ]
    assert (given.prompt("query"), given.prompt("")) == ("query: ", "")


def test_the_parameters_make_the_same_embedder_again(server):
    given = embedder("served:test-model", base_url=server.url, query_prompt="query: ")
    again = embedder(given.name, **given.parameters)
    assert again.fingerprint == given.fingerprint
    assert len(given.fingerprint) == 12


def test_the_fingerprint_follows_model_and_prompts_wherever_the_server_is():
    moved = embedder("served:a", base_url="http://127.0.0.1:9999/v1")
    assert moved.fingerprint == embedder("served:a").fingerprint
    made = [
        embedder("served:a"),
        embedder("served:b"),
        embedder("served:a", document_prompt="query: "),
    ]
    assert len({one.fingerprint for one in made}) == len(made)


@pytest.mark.parametrize(
    "troubles",
    [
        {"throttle_first": 3, "retry_after": "0.02"},
        {"failing": 0.5, "seed": 1},
        {"most_at_once": 1, "latency": 0.1, "retry_after": "0.02"},
        {"reply": "halfway", "reply_share": 0.3},
        {"reply": "not json", "reply_share": 0.3},
    ],
)
def test_passing_troubles_are_waited_out(troubles, monkeypatch):
    monkeypatch.setattr("llmaug.embedders.served.FIRST_WAIT", 0.01)
    with MisbehavingServer(**troubles).in_thread() as server:
        vectors = asking(server, patience=30.0).encode(TEXTS)
        assert np.allclose(vectors, FakeEmbedder().encode(TEXTS), atol=1e-6)
        assert server.requests > server.answered


def test_fewer_texts_are_sent_to_a_server_that_takes_fewer():
    with MisbehavingServer(most_inputs=32).in_thread() as server:
        embedded = asking(server)
        embedded.encode(TEXTS)
        before = server.requests
        vectors = embedded.encode(TEXTS[:64])
        assert server.requests == before + 2
        assert np.allclose(vectors, FakeEmbedder().encode(TEXTS[:64]), atol=1e-6)


@pytest.mark.parametrize(
    ("troubles", "kind", "message"),
    [
        ({"key": "right"}, BackendStopped, "refuses the key"),
        ({"status": 403}, BackendStopped, "refuses the key"),
        ({"status": 404}, BackendStopped, "has no embeddings"),
        ({"status": 402}, BackendStopped, "out of credit"),
        ({"model": "other"}, BackendStopped, "does not know the model 'test-model'"),
        ({"redirect": "http://127.0.0.1:1/"}, BackendStopped, "redirects elsewhere"),
        ({"status": 500, "retry_after": "9"}, Unavailable, "the server is in trouble.*given up"),
        ({"status": 429, "retry_after": "9"}, Unavailable, "answered 429"),
        ({"longest": 30}, RequestRefused, "maximum context length is 30.*begins 'a much longer"),
        ({"reply": "one vector less"}, BackendStopped, "gave 2 vectors for 3 texts"),
        ({"reply": "no index"}, BackendStopped, "which vector belongs to which text"),
        ({"reply": "same index"}, BackendStopped, "which vector belongs to which text"),
        ({"reply": "ragged vectors"}, BackendStopped, "different dimensions in one answer"),
        ({"reply": "no numbers"}, BackendStopped, "not lists of numbers"),
        ({"reply": "words for numbers"}, BackendStopped, "not lists of numbers"),
        ({"reply": "nan"}, RequestRefused, "NaN or infinity.*begins 'some words"),
        ({"reply": "huge"}, RequestRefused, "NaN or infinity.*begins 'some words"),
        ({"reply": "empty"}, Unavailable, "200 without embeddings"),
        ({"reply": "error inside"}, Unavailable, "the model behind the gateway is gone"),
    ],
)
def test_a_lasting_trouble_is_one_line(troubles, kind, message):
    texts = ["some words", "more words", "a much longer text, of too many words"]
    with MisbehavingServer(**troubles).in_thread() as server:
        with pytest.raises(kind, match=message) as caught:
            asking(server).encode(texts)
        assert "\n" not in str(caught.value)


def test_another_dimension_later_is_refused(server):
    embedded = asking(server)
    embedded.encode(TEXTS)
    server.troubles.reply = "shorter vectors"
    with pytest.raises(BackendStopped, match="255 dimensions after vectors of 256"):
        embedded.encode(TEXTS)


def test_a_server_that_hangs_is_given_up():
    with (
        MisbehavingServer(reply="hang").in_thread() as server,
        pytest.raises(Unavailable, match="no answer in time"),
    ):
        asking(server, timeout=0.1).encode(["words"])


def test_a_server_that_is_not_there_is_not_waited_for():
    with pytest.raises(BackendStopped, match=r"nothing answers at .*connection refused"):
        ServedEmbedder("m", base_url="http://127.0.0.1:9/v1", patience=3600).encode(["words"])


def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("LLMAUG_API_KEY", "sk-very-secret")
    with MisbehavingServer(key="sk-very-secret").in_thread() as server:
        embedded = asking(server)
        assert embedded.encode(["words"]).shape == (1, 256)
        server.troubles.status = 400
        server.troubles.message = "bad key sk-very-secret"
        with pytest.raises(BackendError, match=r"bad key \*\*\*"):
            embedded.encode(["words"])
        assert "secret" not in repr(embedded) + repr(embedded.parameters)


def test_a_running_loop_is_no_obstacle(server):
    async def notebook() -> Any:
        return asking(server).encode(TEXTS)

    assert asyncio.run(notebook()).shape == (200, 256)


def test_worker_threads_may_ask(server):
    shapes: list[tuple[int, ...]] = []
    threads = [
        threading.Thread(target=lambda: shapes.append(asking(server).encode(TEXTS).shape))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == [(200, 256)] * 3


@pytest.mark.parametrize(
    ("name", "options", "kind", "message"),
    [
        ("served:", {}, ModelError, "names no model: write served:MODEL"),
        ("served:m", {"device": "cpu"}, ModelError, "computes on its server"),
        ("served:m", {"backend": "onnx"}, ModelError, "computes on its server"),
        ("served:m", {"base_url": "nonsense"}, BackendStopped, "is not an address"),
        ("openai:m", {"base_url": "http://h/v1"}, ModelError, "write served:m"),
        ("minilm", {"base_url": "http://h/v1"}, ModelError, "minilm is none: write served:MODEL"),
    ],
)
def test_a_wrong_name_is_one_line(name, options, kind, message):
    with pytest.raises(kind, match=message):
        embedder(name, **options)


def test_openai_needs_a_key():
    with pytest.raises(BackendStopped, match="needs a key"):
        embedder("openai:text-embedding-3-small").encode(["words"])
