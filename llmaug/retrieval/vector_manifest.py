"""What made the vectors of a store, and the refusal to mix them with others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.journal import shown
from llmaug.request import Embedder
from llmaug.retrieval.vector_file import DTYPES, Shape

MANIFEST = "manifest.json"
FORMAT = 2
PROBE = "The quick brown fox jumps over the lazy dog near the bank of the river."
LARGEST = 1 << 24  # bytes; that of 4,096 dimensions has 0.1 MB
KINDS = {
    "format": int,
    "embedder": str,
    "fingerprint": str,
    "prompt": str,
    "dimension": int,
    "dtype": str,
    "probe": list,
}
SAME = 0.999  # cosine of two encodings of the probe by one model on different machines
SAID = {"fingerprint": "the weights' fingerprint", "prompt": "the document prompt"}


@dataclass(frozen=True)
class Manifest:
    """The embedder, its weights and its document prompt; `probe` is a fixed sentence's vector."""

    embedder: str
    fingerprint: str
    prompt: str
    dimension: int
    dtype: str
    probe: list[float]

    @property
    def shape(self) -> Shape:
        return Shape(self.dimension, self.dtype)

    @classmethod
    def of(cls, embedder: Embedder, dtype: str) -> Manifest:
        """That of a new store; encodes the probe sentence."""
        import numpy as np

        probe = np.asarray(embedder.encode([PROBE], side="document"), dtype=np.float32)
        if probe.ndim != 2 or len(probe) != 1 or not probe.size or not np.isfinite(probe).all():
            raise RetrievalError(
                f"{embedder.name} gives no usable vector for a plain sentence; use another embedder"
            )
        return cls(
            embedder=embedder.name,
            fingerprint=embedder.fingerprint,
            prompt=embedder.prompt("document"),
            dimension=probe.shape[1],
            dtype=dtype,
            probe=probe[0].tolist(),
        )

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder; `RetrievalError` when it is broken or of another format."""
        path = folder / MANIFEST
        fields = _object(path)
        if "format" in fields and fields["format"] != FORMAT:
            raise RetrievalError(
                f"{path} has format {shown(fields['format'])}, this llmaug reads {FORMAT}; "
                "--fresh starts anew"
            )
        for field, kind in KINDS.items():
            if type(fields.get(field)) is not kind:
                raise _broken(path, f"{field!r} is {shown(fields.get(field))}")
        if not 0 < fields["dimension"] <= LARGEST:
            raise _broken(path, f"'dimension' is {fields['dimension']}")
        if fields["dtype"] not in DTYPES:
            raise _broken(path, f"'dtype' is {shown(fields['dtype'])}")
        probe = fields["probe"]
        if len(probe) != fields["dimension"] or not all(_is_number(value) for value in probe):
            raise _broken(path, f"'probe' is not {fields['dimension']} numbers")
        return cls(**{field: fields[field] for field in KINDS if field != "format"})

    def write(self, folder: Path) -> None:
        with new_file(folder / MANIFEST) as draft:
            draft.write_bytes(orjson.dumps({"format": FORMAT, **asdict(self)}) + b"\n")

    def refuse_other(self, folder: Path, **now: str | None) -> None:
        """Raise `RetrievalError` where a field differs from what is wanted now (None: any)."""
        for field, wanted in now.items():
            made = getattr(self, field)
            if wanted is not None and wanted != made:
                raise RetrievalError(
                    f"{folder} holds vectors of which {SAID.get(field, field)} is {shown(made)!r}, "
                    f"not {shown(wanted)!r}; --fresh starts anew"
                )


def check_probe(embedder: Embedder, probe: Sequence[float], *, made: str) -> None:
    """Raise `RetrievalError` when the embedder no longer gives the vectors of what it `made`.

    A server may answer with other weights under the same name: the fixed sentence tells.
    """
    import numpy as np

    stored = np.asarray(probe, dtype=np.float64)
    now = np.asarray(embedder.encode([PROBE], side="document"), dtype=np.float64)
    cosine = float("nan")
    if now.shape == (1, len(stored)):
        cosine = float(now[0] @ stored / (np.linalg.norm(now) * np.linalg.norm(stored) or 1.0))
    if not cosine > SAME:
        raise RetrievalError(
            f"{embedder.name} gives another vector for a fixed sentence than when {made} was made "
            f"(cosine {cosine:.4f}, must exceed {SAME}): other weights under the same name? "
            "--fresh starts anew"
        )


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise _broken(path, "it is too large")
        fields = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise _broken(path, str(error)) from None
    except OSError as error:
        raise RetrievalError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(fields, dict):
        raise _broken(path, "it is not a JSON object")
    return fields


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _broken(path: Path, why: str) -> RetrievalError:
    return RetrievalError(f"{path} is broken: {why}; --fresh starts anew")
