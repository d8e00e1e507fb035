"""What the test server answers to `POST /v1/embeddings`: good vectors, and wrong ones by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from llmaug.localserver import Answer

Entries = list[dict[str, Any]]


def embeddings(texts: Sequence[str], *, wrong: str = "") -> Answer:
    """Three times the vectors of `FakeEmbedder`, last text first, with a name in WRONG made so."""
    from llmaug.embedders.embed import FakeEmbedder

    vectors = (3 * FakeEmbedder().encode(texts)).tolist()
    entries: Entries = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in reversed(list(enumerate(vectors)))
    ]
    if wrong:
        entries = WRONG[wrong](entries)
    body = orjson.dumps({"object": "list", "data": entries})
    # orjson writes NaN as null; the servers that send one write it out.
    return Answer(200, body.replace(b"null", b"NaN"))


def _without_index(entries: Entries) -> Entries:
    return [{"embedding": entry["embedding"]} for entry in entries]


def _same_index(entries: Entries) -> Entries:
    return [entry | {"index": 0} for entry in entries]


def _changed(change: Callable[[list[Any]], Any]) -> Callable[[Entries], Entries]:
    """Every vector changed."""
    return lambda entries: [e | {"embedding": change(e["embedding"])} for e in entries]


WRONG: Mapping[str, Callable[[Entries], Entries]] = {
    "one vector less": lambda entries: entries[1:],
    "no index": _without_index,
    "same index": _same_index,
    "shorter vectors": _changed(lambda vector: vector[1:]),
    "ragged vectors": lambda entries: [
        entry | {"embedding": entry["embedding"][: 2 + entry["index"]]} for entry in entries
    ],
    "no numbers": _changed(lambda vector: "AACAPwAAAEA="),
    "words for numbers": _changed(lambda vector: [*vector[1:], "word"]),
    "nan": _changed(lambda vector: [None, *vector[1:]]),
    "huge": _changed(lambda vector: [1e300, *vector[1:]]),
}
