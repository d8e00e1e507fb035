"""An embedder as a model of MTEB 2: `mteb.evaluate(MtebEncoder("minilm"), tasks)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import MissingExtra, ModelError
from llmaug.request import Embedder

if TYPE_CHECKING:
    import numpy as np


class MtebEncoder:
    """What MTEB asks of a model (its `EncoderProtocol`), answered by an embedder.

    Queries and documents get the embedder's own prompts, never those of a task; texts of other
    tasks get none. The results are filed under `llmaug/NAME` and the embedder's fingerprint, so
    MTEB does not take those of other weights from its cache. Raises `MissingExtra` where mteb is
    not installed.
    """

    def __init__(self, embedder: Embedder | str, *, device: str | None = None) -> None:
        if find_spec("mteb") is None:
            raise MissingExtra("mteb", "mteb")
        if isinstance(embedder, str):
            embedder = embedder_named(embedder, device=device)
        self.embedder = embedder

    def encode(
        self, inputs: Iterable[Mapping[str, Any]], *, prompt_type: str | None = None, **asked: Any
    ) -> np.ndarray:
        """The texts of all batches as (n, d) float32 of unit length, in order.

        Of what else MTEB says, the task and the batch size do not matter here. Raises
        `ModelError` for a `precision` other than float32 and for batches without texts.
        """
        import numpy as np

        precision = asked.get("precision") or "float32"
        if precision != "float32":
            raise ModelError(f"llmaug's embedders give float32, not precision={precision!r}")
        texts, size, side = texts_of(inputs), self.embedder.batch, side_of(prompt_type)
        if not texts:
            return self.embedder.encode([], side=side)
        starts = range(0, len(texts), size)
        return np.concatenate(
            [self.embedder.encode(texts[i : i + size], side=side) for i in starts]
        )

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The cosine of every embedding of the first with every one of the second, (n, m)."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The cosine of each embedding of the first with the one beside it, (n,)."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)

    @cached_property
    def mteb_model_meta(self) -> Any:
        """The `ModelMeta` under which MTEB files the results."""
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        return ModelMeta.create_empty(
            overwrites={
                "name": model_name(self.embedder.name),
                "revision": self.embedder.fingerprint,
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": any(map(self.embedder.prompt, ("query", "document"))),
            }
        )


def model_name(embedder_name: str) -> str:
    """`llmaug/NAME`, of a folder only its own name: results are passed on, paths are not."""
    return f"llmaug/{Path(embedder_name).resolve().name}"


def side_of(prompt_type: str | None) -> str:
    """The side that a `PromptType` of MTEB names: "query", "document", or "" for None."""
    return "" if prompt_type is None else str(getattr(prompt_type, "value", prompt_type))


def texts_of(batches: Iterable[Mapping[str, Any]]) -> list[str]:
    """The texts of MTEB's batches, in order.

    Of a document `text` is its title and body joined already; `title` and `body` repeat them.
    """
    texts: list[str] = []
    for batch in batches:
        if "text" not in batch:
            raise ModelError(f"llmaug's embedders read texts; MTEB gave {', '.join(batch)}")
        texts.extend(batch["text"])
    return texts
