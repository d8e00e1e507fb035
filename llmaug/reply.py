"""From a model's reply to texts, as a prompt's `output` says; never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from llmaug.errors import ReplyError

BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,3}[.):]|[a-z][.)])\s+")
FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def parse_reply(
    reply: str,
    output: str,
    *,
    schema: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    cut_off: bool = False,
) -> list[str]:
    """The texts in a reply; raises `ReplyError` when it does not fit `output`.

    An empty reply fits nothing. `text` gives the reply as it is, `lines` one text a line without
    bullets (the last line of a reply that was cut off is left out), `json` the strings of the
    one list (or string) in the object, `label` one of `labels`.
    """
    if not reply.strip():
        raise ReplyError("the reply is empty")
    if output == "text":
        return [reply.strip()]
    if output == "lines":
        return _lines(reply, cut_off)
    if output == "json":
        return _strings(_json(reply), schema)
    return [_label(reply, labels)]


def _lines(reply: str, cut_off: bool) -> list[str]:
    lines = [BULLET.sub("", line).strip() for line in reply.splitlines()]
    if cut_off:
        lines = lines[:-1]
    lines = [line for line in lines if line]
    if not lines:
        raise ReplyError("the reply holds no complete line" if cut_off else "the reply is empty")
    return lines


def _json(reply: str) -> Any:
    fenced = FENCE.match(reply)
    try:
        return orjson.loads(fenced[1] if fenced else reply)
    except orjson.JSONDecodeError as error:
        raise ReplyError(f"the reply is not JSON: {error}") from None


def _strings(value: Any, schema: Mapping[str, Any] | None) -> list[str]:
    for name in (schema or {}).get("required", ()):
        if not isinstance(value, dict) or name not in value:
            raise ReplyError(f"the reply lacks the field {name!r}")
    fields = list(value.values()) if isinstance(value, dict) else [value]
    lists = [f for f in fields if isinstance(f, list) and all(isinstance(i, str) for i in f)]
    found = lists or [[f] for f in fields if isinstance(f, str)]
    if len(found) != 1:
        raise ReplyError(
            "the reply holds no string and no list of strings"
            if not found
            else "the reply holds several strings or lists, so which is meant is not known"
        )
    texts = [item.strip() for item in found[0] if item.strip()]
    if not texts:
        raise ReplyError("the reply's list is empty")
    return texts


def _label(reply: str, labels: Sequence[str]) -> str:
    said = reply.strip().strip(".\"'`*").casefold()
    for label in labels:
        if said == label.casefold():
            return label
    raise ReplyError(f"the reply {reply.strip()[:40]!r} is none of the labels {', '.join(labels)}")
