"""The embedder of an index's queries, which must be the one that made its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import ModelError, RetrievalError
from llmaug.request import Embedder
from llmaug.retrieval.vector_manifest import check_probe


def query_embedder(
    given: Embedder | str | None,
    made: Mapping[str, Any],
    *,
    index: str,
    device: str | None = None,
    base_url: str | None = None,
) -> Embedder:
    """The embedder given, or found by its name; `made` is what the index says of its own.

    Raises `RetrievalError` where it has other weights or prompts, or gives another vector for a
    fixed sentence, and `ModelError` where it is not found.
    """
    if given is None or isinstance(given, str):
        address = _address(made, base_url, index=index)
        try:
            given = embedder_named(given or made["name"], device=device, **address)
        except ModelError as error:
            raise ModelError(f"{error}; say where it is now: --embedder") from None
    theirs = (made["fingerprint"], made["query_prompt"])
    if (given.fingerprint, given.prompt("query")) != theirs:
        raise RetrievalError(
            f"{index} was made with other weights or prompts: {made['name']}@{theirs[0]} there, "
            f"{given.name}@{given.fingerprint} now; build it again, or name the embedder that "
            "made it"
        )
    check_probe(given, made["probe"], made=index)
    return given


def _address(made: Mapping[str, Any], base_url: str | None, *, index: str) -> dict[str, Any]:
    """What it takes to make the embedder again, and where its server is.

    Only the user says where queries and a key may be sent: an index may come from anyone.
    """
    parameters = dict(made["parameters"])
    named = parameters.pop("base_url", None)
    if base_url is not None:
        return {**parameters, "base_url": base_url}
    if named is None:
        return parameters
    if urlsplit(named).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise RetrievalError(
            f"{index} was made by a server at {named}; if queries may be sent there, say "
            f"so with --embedder-url {named}"
        )
    return {**parameters, "base_url": named}
