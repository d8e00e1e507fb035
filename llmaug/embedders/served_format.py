"""OpenAI's embeddings format: texts as requests, an answer as vectors of unit length, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from llmaug.backends.openai_format import quote, server_message
from llmaug.errors import BackendStopped, RequestRefused, Unavailable

if TYPE_CHECKING:
    import numpy as np

CHARACTERS_IN_REQUEST = 1_000_000  # unless one text alone is longer


def sendable(text: str) -> str:
    """The text without half surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()


def parts(texts: list[str], *, most: int) -> Iterator[list[str]]:
    """The texts in order, in requests of so many at most, and not too long all together."""
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and (len(part) == most or characters + len(text) > CHARACTERS_IN_REQUEST):
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    if part:
        yield part


def vectors_in(payload: bytes, count: int, *, where: str, secret: str = "") -> np.ndarray:
    """The `count` vectors of an answer, (count, d) float32 of unit length, by their `index`.

    Raises `Unavailable` for a body that is no such answer, `RequestRefused` for numbers that are
    not finite, and `BackendStopped` where it cannot be told which vector belongs to which text.
    """
    import numpy as np

    entries = _entries(payload, where=where, secret=secret)
    if len(entries) != count:
        raise BackendStopped(f"{where} gave {len(entries)} vectors for {count} texts")
    try:
        placed = {entry["index"]: entry["embedding"] for entry in entries}
        ordered = [placed[index] for index in range(count)]
    except (LookupError, TypeError):
        raise BackendStopped(
            f"{where} does not say which vector belongs to which text: each needs an `index`, "
            f"0 to {count - 1}, and an `embedding`"
        ) from None
    if len({len(vector) if isinstance(vector, list) else -1 for vector in ordered}) != 1:
        raise BackendStopped(f"{where} gave vectors of different dimensions in one answer")
    try:
        with np.errstate(over="ignore"):
            vectors = np.asarray(ordered, dtype=np.float32)
    except (TypeError, ValueError):
        vectors = np.empty(0, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.size:
        raise BackendStopped(f"{where} gave embeddings that are not lists of numbers")
    broken = count - int(np.isfinite(vectors).all(axis=1).sum())
    if broken:
        raise RequestRefused(f"{where} gave NaN or infinity for {broken} of {count} texts")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: np.ndarray = (vectors / np.maximum(lengths, 1e-30)).astype(np.float32)
    return unit


def dimensions_of(vectors: np.ndarray, before: int, *, where: str) -> int:
    """The dimensions of the vectors; raises `BackendStopped` if earlier ones had others."""
    found = int(vectors.shape[1])
    if before not in (0, found):
        raise BackendStopped(
            f"{where} gave vectors of {found} dimensions after vectors of {before}: another "
            "model answers now"
        )
    return found


def _entries(payload: bytes, *, where: str, secret: str) -> list[Any]:
    try:
        answer = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            answer = json.loads(payload)  # takes the NaN that some servers write
        except ValueError:
            answer = None
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise Unavailable(
            f"{where} answered 200 without embeddings: {quote(server_message(payload), secret)}"
        )
    return entries
