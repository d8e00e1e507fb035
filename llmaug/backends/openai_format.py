"""OpenAI's chat format: a request as a body, a body as a reply, an error status as an error."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from llmaug.errors import BackendError, BackendStopped, RequestRefused, Unavailable
from llmaug.request import Reply, Request

LONGEST_WAIT = 120.0  # seconds of Retry-After that are honoured
LONGEST_QUOTE = 200  # characters of a server's message that are shown
SEEDS = 2**31  # servers differ in the largest seed they take; all take one below this

TOO_LONG = re.compile(
    r"context[ _](length|window|size)|max_model_len|maximum (input|prompt|sequence) length"
    r"|(prompt|input|message)s? (is|are) too long|too many (input )?tokens",
    re.IGNORECASE,
)
NOT_TAKEN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed"
    r"|extra (inputs|fields)|unavailable|invalid",
    re.IGNORECASE,
)

# How a body changes for a server that does not take a field: the other name to try, or without.
SUBSTITUTES: Mapping[str, str | None] = {
    "response_format": None,
    "max_tokens": "max_completion_tokens",
    "seed": None,
}


def body(
    request: Request, model: str, *, without: frozenset[str], extra: Mapping[str, Any]
) -> bytes:
    """The body of a chat completion request, with the fields in `without` substituted."""
    sampling = request.sampling
    fields: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed % SEEDS,
    }
    if sampling.top_p != 1:
        fields["top_p"] = sampling.top_p
    if sampling.stop:
        fields["stop"] = sampling.stop
    if sampling.schema is not None:
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": sampling.schema},
        }
    for name in without & fields.keys():
        value, other = fields.pop(name), SUBSTITUTES[name]
        if other:
            fields[other] = value
    if extra:
        fields |= extra
    try:
        return orjson.dumps(fields, default=dict)
    except TypeError as error:
        raise RequestRefused(f"the request cannot be written as JSON: {error}") from None


def reply(payload: bytes, *, secret: str = "") -> Reply:
    """The reply in the body of a 200; raises `Unavailable` for anything else."""
    try:
        answer = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise Unavailable(
            "the server answered 200 with something that is not JSON: "
            + quote(server_message(payload), secret)
        ) from None
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text, finish = _text(message.get("content")), choice.get("finish_reason")
        usage = answer.get("usage") or {}
        prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        if not text and isinstance(message.get("refusal"), str):
            text, finish = message["refusal"], "content_filter"
    except (LookupError, TypeError, AttributeError):
        raise Unavailable(
            "the server answered 200 without a chat completion: "
            + quote(server_message(payload), secret)
        ) from None
    return Reply(
        text, finish if finish in ("length", "content_filter") else "stop", prompt, completion
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    return "".join(part["text"] for part in content if part.get("type") == "text")


def server_message(payload: bytes) -> str:
    """What a server says in the body of an error, whichever dialect it speaks."""
    text = payload.decode("utf-8", "replace")
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return re.sub(r"<[^>]*>", " ", text)
    if isinstance(said, dict):
        said = said.get("error") or said.get("detail") or said.get("message") or said
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        return str(said["message"])
    return said if isinstance(said, str) else text


def quote(said: str, secret: str = "") -> str:
    """A server's words as one short printable line, without the key if it repeats that."""
    if secret:
        said = said.replace(secret, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    if len(line) > LONGEST_QUOTE:
        return line[: LONGEST_QUOTE - 1] + "…"
    return line or "(nothing)"


def _field(payload: bytes, name: str) -> str:
    """`error.code` or `error.param`, else an empty string."""
    try:
        value = orjson.loads(payload)["error"][name]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def refused_field(status: int, payload: bytes, *, among: Iterable[str]) -> str:
    """Which of these fields the server says that it does not take, or an empty string."""
    if status not in (400, 422) or is_too_long(payload):
        return ""
    said, parameter = server_message(payload)[:1000], _field(payload, "param")
    for name in among:
        if name == "response_format":
            if parameter == name or name in said or "json_schema" in said:
                return name
        elif NOT_TAKEN.search(said) and (parameter == name or _names(said, name)):
            return name
    return ""


def _names(said: str, field: str) -> bool:
    # Servers repeat parts of the prompt, where "seed" may be any word: it has to stand as a name.
    return (
        re.search(
            rf"^{field}\b|[\"'`]{field}[\"'`]"
            rf"|(argument|parameter|field|property|key)s?( supplied)?:? {field}\b",
            said,
            re.IGNORECASE,
        )
        is not None
    )


def is_too_long(payload: bytes) -> bool:
    """Whether an error says that the prompt does not fit into the model's context."""
    return (
        _field(payload, "code") == "context_length_exceeded"
        or TOO_LONG.search(server_message(payload)) is not None
    )


def error(
    status: int,
    payload: bytes,
    *,
    where: str,
    model: str,
    wait: float | None = None,
    secret: str = "",
) -> BackendError:
    """The error that a status other than 200 stands for; `where` is the server's base URL."""
    said = quote(server_message(payload), secret)
    if status in (401, 403):
        return BackendStopped(
            f"{where} refuses the key ({status}): set LLMAUG_API_KEY (or "
            "OPENAI_API_KEY) to one that it accepts"
        )
    if status == 402 or _field(payload, "code") == "insufficient_quota":
        return BackendStopped(f"{where} says that the account is out of credit: {said}")
    if status == 404 and "model" in said.lower():
        return BackendStopped(f"{where} does not know the model {model!r}: {said}")
    if status in (404, 405):
        return BackendStopped(
            f"{where} has no chat completions ({status}): check the base URL, "
            "which usually ends in /v1"
        )
    if status in (408, 409, 425, 429) or status >= 500:
        return Unavailable(
            f"{where} answered {status}: {said}", retry_after=wait, overload=status in (429, 503)
        )
    if status == 413 or is_too_long(payload):
        return RequestRefused(f"too long for the model's context: {said}")
    return RequestRefused(f"{where} refused the request ({status}): {said}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for, in seconds, from a number or a date; at most 120."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WAIT)


def served(payload: bytes) -> list[str]:
    """The names in a list of models; empty where the answer is none, or not the whole list."""
    try:
        answer = orjson.loads(payload)
        return [] if answer.get("has_more") else [str(model["id"]) for model in answer["data"]]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return []


def is_served(model: str, names: list[str]) -> bool:
    """Whether a server that lists these names takes this one."""
    # Ollama lists `llama3:latest` and takes `llama3`, OpenRouter lists `x/y` and takes `x/y:nitro`,
    # Gemini lists `models/gemini` and takes `gemini`.
    forms = {model, f"{model}:latest", model.partition(":")[0], f"models/{model}"}
    return not forms.isdisjoint(names)
