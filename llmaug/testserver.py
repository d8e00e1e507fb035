"""OpenAI-style servers for tests and measurements: one fast, one that misbehaves on demand.

python -m llmaug.testserver --latency 0.02 --port 0     # prints its base URL, then serves
python -m llmaug.testserver --trouble failing=0.1 --trouble throttle_first=5
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from llmaug.backends.fake import shuffled
from llmaug.errors import did_you_mean
from llmaug.localserver import Answer, Connection, LocalServer, complaint, completion, model_list
from llmaug.request import Message, Request
from llmaug.testvectors import WRONG, embeddings

BODIES_KEPT = 1000


class FixedLatencyServer(LocalServer):
    """Answers every chat request with the same text after the same time, as cheaply as it can."""

    def __init__(self, *, latency: float = 0.02, model: str = "test-model", port: int = 0) -> None:
        super().__init__(port=port)
        self.latency = latency
        self._reply = Answer(200, completion("the same words in another order")).encoded()
        self._models = Answer(200, model_list(model)).encoded()

    def asked(self, connection: Connection, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST"):
            asyncio.get_running_loop().call_later(self.latency, connection.write, self._reply)
        else:
            connection.write(self._models)


@dataclass(slots=True)
class Troubles:
    """What goes wrong with requests; every field may be changed while the server runs."""

    latency: float = 0.0  # seconds before any answer
    key: str = ""  # 401 unless it is sent as the bearer token
    redirect: str = ""  # 307 to this address
    status: int = 0  # this status for every request, with `message`
    message: str = "the server is in trouble"
    failing: float = 0.0  # share of requests answered with 500
    throttle_first: int = 0  # 429 for so many requests
    most_at_once: int = 0  # 429 above so many in flight; 0 is no limit
    retry_after: str = "1"  # that header of 429 and 503
    longest: int = 0  # 400 "context length" above so many characters; 0 is no limit
    most_inputs: int = 0  # 400 above so many texts to embed at once; 0 is no limit
    refuses: tuple[str, ...] = ()  # 400 for a body with one of these fields
    reply: str = ""  # a name in REPLIES or testvectors.WRONG, for a share of `reply_share`
    reply_share: float = 1.0
    models: str = ""  # what /models does: "" lists, "missing" is 404, "broken" is 500, "garbage"


# What the server says instead of a good reply, by name. "hang" says nothing, for ever.
REPLIES: Mapping[str, Answer | None] = {
    "empty": Answer(200, completion("")),
    "cut off": Answer(200, completion("these words stop in the mid", finish="length")),
    "filtered": Answer(200, completion("", finish="content_filter")),
    "not json": Answer(200, b"<html>it works!</html>"),
    "not utf-8": Answer(200, completion("word").replace(b"word", b"\xff\xfe")),
    "wrong shape": Answer(200, b'{"choices": []}'),
    "error inside": Answer(200, complaint("the model behind the gateway is gone")),
    "halfway": Answer(200, completion("these words never arrive in full"), cut=True),
    "hang": None,
}
MODEL_LISTS = {
    "missing": Answer(404, complaint("no such page")),
    "garbage": Answer(200, b"{]"),
    "broken": Answer(500, complaint("starting up")),
}


class MisbehavingServer(LocalServer):
    """Serves one model whose replies follow from messages and seed, and the asked-for troubles.

    A good reply is `llmaug.backends.fake.shuffled`. `requests` counts chat requests,
    `answered` good replies, `peak` the most in flight at once; `bodies` holds the last requests.
    """

    def __init__(
        self, *, model: str = "test-model", seed: int = 0, port: int = 0, **troubles: Any
    ) -> None:
        super().__init__(port=port)
        known = {field.name for field in fields(Troubles)}
        for name in troubles.keys() - known:
            raise ValueError(f"unknown trouble {name!r}; {did_you_mean(name, known)}")
        self.model, self.troubles = model, Troubles(**troubles)
        self.requests, self.answered, self.in_flight, self.peak = 0, 0, 0, 0
        self.bodies: deque[dict[str, Any]] = deque(maxlen=BODIES_KEPT)
        self._random = random.Random(seed)

    def asked(self, connection: Connection, head: bytes, body: bytes) -> None:
        connection.unanswered += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        posted = head.startswith((b"POST /v1/chat/completions ", b"POST /v1/embeddings "))
        answer = self._posted(head, body) if posted else self._page(head)
        if answer is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.troubles.latency, self._write, connection, answer)

    def _write(self, connection: Connection, answer: Answer) -> None:
        if connection.transport.is_closing():
            return
        connection.unanswered -= 1
        self.in_flight -= 1
        connection.write(answer.encoded())
        if answer.cut:
            connection.transport.close()

    def ended(self, connection: Connection) -> None:
        super().ended(connection)
        self.in_flight -= connection.unanswered

    def _page(self, head: bytes) -> Answer:
        if not head.startswith(b"GET /v1/models "):
            return Answer(404, complaint("no such page"))
        return self._wrong_key(head) or MODEL_LISTS.get(
            self.troubles.models, Answer(200, model_list(self.model))
        )

    def _posted(self, head: bytes, body: bytes) -> Answer | None:
        """The answer to one request: the first trouble that it meets, else a good reply."""
        asked = orjson.loads(body)
        self.requests += 1
        self.bodies.append(asked)
        trouble = (
            self._wrong_key(head)
            or self._everything()
            or self._throttled()
            or self._failing()
            or self._wrong_request(asked)
        )
        if trouble is not None:
            return trouble
        if self.troubles.reply and self._random.random() < self.troubles.reply_share:
            if self.troubles.reply in WRONG:
                return embeddings(asked["input"], wrong=self.troubles.reply)
            return REPLIES[self.troubles.reply]
        self.answered += 1
        if "input" in asked:
            return embeddings(asked["input"])
        messages = tuple(Message(m["role"], m["content"]) for m in asked["messages"])
        text = shuffled(Request(messages, seed=asked.get("seed", 0)))
        return Answer(
            200, completion(text, prompt_tokens=sum(len(m.content) for m in messages) // 4)
        )

    def _wrong_key(self, head: bytes) -> Answer | None:
        sent = f"{head.decode('latin-1')}\r\n"
        if not self.troubles.key or f": Bearer {self.troubles.key}\r\n" in sent:
            return None
        return Answer(401, complaint("Incorrect API key provided", code="invalid_api_key"))

    def _everything(self) -> Answer | None:
        if self.troubles.redirect:
            return Answer(307, b"", (f"Location: {self.troubles.redirect}",))
        if self.troubles.status:
            headers = (f"Retry-After: {self.troubles.retry_after}",)
            return Answer(self.troubles.status, complaint(self.troubles.message), headers)
        return None

    def _throttled(self) -> Answer | None:
        troubles = self.troubles
        if troubles.throttle_first:
            troubles.throttle_first -= 1
        elif not 0 < troubles.most_at_once < self.in_flight:
            return None
        headers = (f"Retry-After: {troubles.retry_after}",)
        return Answer(429, complaint("Rate limit reached"), headers)

    def _failing(self) -> Answer | None:
        if self.troubles.failing and self._random.random() < self.troubles.failing:
            return Answer(500, complaint("internal error"))
        return None

    def _wrong_request(self, asked: Mapping[str, Any]) -> Answer | None:
        if asked["model"] != self.model:
            said = f"The model `{asked['model']}` does not exist."
            return Answer(404, complaint(said, code="model_not_found"))
        for name in self.troubles.refuses:
            if name in asked:
                said = f"Unsupported parameter: '{name}' is not supported with this model."
                return Answer(400, complaint(said, code="unsupported_parameter", param=name))
        texts = asked.get("input", [])
        if 0 < self.troubles.most_inputs < len(texts):
            return Answer(400, complaint(f"batch size {len(texts)} > maximum allowed batch size"))
        length = sum(len(message["content"]) for message in asked.get("messages", []))
        length = max([length, *map(len, texts)])
        if 0 < self.troubles.longest < length:
            said = (
                f"This model's maximum context length is {self.troubles.longest} tokens, "
                f"but {length} were requested; please reduce max_tokens or the messages."
            )
            return Answer(400, complaint(said, code="context_length_exceeded"))
        return None


async def _serve(server: LocalServer) -> None:
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def _trouble(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def main() -> None:
    """Serve until stopped; the base URL is the first line of the output."""
    options = argparse.ArgumentParser(prog="python -m llmaug.testserver", description=__doc__)
    options.add_argument("--latency", type=float, default=0.0, help="seconds before an answer")
    options.add_argument("--port", type=int, default=0, help="0 is any free one")
    options.add_argument("--model", default="test-model")
    options.add_argument(
        "--trouble", action="append", type=_trouble, default=[], metavar="NAME=VALUE"
    )
    given = options.parse_args()
    server: LocalServer
    if given.trouble:
        server = MisbehavingServer(
            model=given.model, port=given.port, latency=given.latency, **dict(given.trouble)
        )
    else:
        server = FixedLatencyServer(model=given.model, port=given.port, latency=given.latency)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
