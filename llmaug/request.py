"""What is asked of a language model and what comes back, and the one seam between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from llmaug.text import Text


class Message(NamedTuple):
    """One turn of a chat: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn; every field is part of the cache key."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON schema that the reply must fit


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, rendered, and which of its samples is wanted.

    `sample` numbers the draws of one prompt from 0, `attempt` the repeats after a reply that did
    not fit; both are part of the cache key, so n samples are n entries. `seed` is the run's seed
    until the engine replaces it by one derived from the whole request: identical requests get
    identical seeds and different samples different ones, whatever the order.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample: int = 0
    attempt: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `finish` is "stop", "length" (cut off) or "content_filter"."""

    text: str
    finish: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


@runtime_checkable
class Backend(Protocol):
    """A language model behind one method.

    `name` is in provenance and in the cache key and never holds a secret; `window` is how many
    requests it likes to have in flight; `parameters` is whatever else changes its replies
    (endpoint, dtype, extra body), JSON-able, part of the cache key and of the run's manifest.

    `complete` raises a `BackendError` subclass: `RequestRefused` (this row only), `Unavailable`
    (try again later) or `BackendStopped` (nothing will work). It must be safe to call many times
    at once, and must honour cancellation. `start` is awaited once before the first request, in
    the same event loop: load the model or look whether the server answers; raises
    `BackendStopped` when it cannot work.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    async def start(self) -> None: ...

    async def complete(self, request: Request) -> Reply: ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """A model that maps texts to vectors.

    `fingerprint` is 12 hex digits that change when the weights do, or anything else that changes
    a vector; `parameters` is what it takes beside its name to make it again, JSON-able; `batch`
    is how many texts it likes in one call. `side` is "query" or "document" for
    models that put a prompt before each (`prompt(side)` says which), and "" where the two texts
    compared are of one kind. `encode` gives one row per text, in order: (n, d) float32 of unit
    length; no texts give (0, d). It may be called from several threads at once.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    @property
    def batch(self) -> int: ...

    def prompt(self, side: str) -> str: ...

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray: ...


@runtime_checkable
class Classifier(Protocol):
    """A model that gives each text the probabilities of its classes.

    `classes` are the labels, in the order of the columns; `fingerprint` is 12 hex digits that
    change when an answer may. `probabilities` gives one row per text, in order: (n, classes)
    float64, each row with the sum 1; no texts give (0, classes). It is called from one thread at
    a time.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def classes(self) -> tuple[str | int, ...]: ...

    def probabilities(self, texts: Sequence[str]) -> np.ndarray: ...


class Retriever(Protocol):
    """A corpus that can be searched while texts are augmented.

    `fingerprint` is 12 hex digits that change when the result of a search may. `retrieve` gives
    for each query its `k` best passages, best first, each with the fields `score` and `rank`.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def retrieve(self, queries: Sequence[str], k: int) -> list[list[Text]]: ...
