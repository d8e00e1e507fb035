"""How an index is built."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from llmaug.errors import PlanError, did_you_mean
from llmaug.retrieval.lexical import BM25, bm25, parse_bm25

DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Settings:
    """How an index is built; every field is in the index's manifest and in its identity.

    `factory` is "auto" (`Flat` up to 100,000 documents, beyond by size and `memory`, in bytes) or
    any FAISS index description. `min_recall` raises the search effort until recall at `recall_k`
    against exact search is at least that, and refuses to build an index that cannot reach it.
    `lexical` is the BM25 side, None for none. `dtype` is that of the stored vectors. The same
    documents, settings and `threads=1` give the same files, byte for byte.
    """

    factory: str = "auto"
    memory: int | None = None
    min_recall: float | None = None
    recall_k: int = 10
    lexical: BM25 | None = bm25()  # noqa: RUF009  (a frozen value)
    dtype: str = "float32"
    seed: int = 1234
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise PlanError(
                f"no vectors of type {self.dtype!r}; {did_you_mean(self.dtype, DTYPES)}"
            )
        if self.min_recall is not None and not 0 < self.min_recall <= 1:
            raise PlanError(f"min_recall must be above 0 and at most 1, not {self.min_recall}")
        if self.recall_k < 1:
            raise PlanError(f"recall_k must be at least 1, not {self.recall_k}")
        if self.threads is not None and self.threads < 1:
            raise PlanError(f"threads must be at least 1, not {self.threads}")

    def record(self) -> dict[str, Any]:
        """The settings as JSON."""
        return {**asdict(self), "lexical": str(self.lexical) if self.lexical else None}

    @classmethod
    def recorded(cls, record: dict[str, Any]) -> Settings:
        """The settings that `record` wrote."""
        lexical = record["lexical"]
        return replace(cls(**{**record, "lexical": None}), lexical=lexical and parse_bm25(lexical))
