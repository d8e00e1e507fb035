"""FAISS indexes as files: written whole or not at all, read within limits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file
from llmaug.retrieval.ann_layers import complaint, faiss_library, layers

PIECE = 2**22  # bytes handed over at once
COMPUTED_TABLES = 2**31  # bytes that FAISS may allocate beyond what the file holds
LATTICE_RADIUS = 2**16
ONE_AT_A_TIME = threading.Lock()  # FAISS's limits are those of the process


def write_index(index: Any, path: Path) -> None:
    """Write a FAISS index; raises `OutputError` where the disk is full or the folder is missing."""
    faiss = faiss_library()
    with new_file(path) as unfinished, unfinished.open("wb") as file:
        # Through Python's file, so that a full disk is told from other trouble.
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write, PIECE))


def read_index(path: Path) -> Any:
    """Read a FAISS index of inner products; the file must have passed `sealed.check` before.

    Raises `RetrievalError` for what FAISS cannot read and for an index of distances.
    """
    faiss = faiss_library()
    try:
        with path.open("rb") as file, _limits(path.stat().st_size):
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read, PIECE))
    except OSError as error:
        raise RetrievalError(f"{path} cannot be read: {error.strerror or error}") from None
    except (RuntimeError, MemoryError) as error:
        raise RetrievalError(
            f"{path} is not an index that FAISS can read ({complaint(error)}); build it again"
        ) from None
    if any(layer.metric_type != faiss.METRIC_INNER_PRODUCT for layer in layers(index)):
        raise RetrievalError(f"{path} does not compare by inner product; build it again")
    return index


@contextlib.contextmanager
def _limits(size: int) -> Iterator[None]:
    """Bound what FAISS allocates and repeats while it reads a file of that many bytes.

    The limits hold for the whole process (FAISS has no others), and are put back afterwards.
    """
    faiss = faiss_library()
    limits = {
        "loop": size,
        "vector_byte": size + COMPUTED_TABLES,
        "lattice_r2": LATTICE_RADIUS,
    }
    with ONE_AT_A_TIME:
        before = {name: getattr(faiss, f"get_deserialization_{name}_limit")() for name in limits}
        try:
            for name, limit in limits.items():
                getattr(faiss, f"set_deserialization_{name}_limit")(limit)
            yield
        finally:
            for name, limit in before.items():
                getattr(faiss, f"set_deserialization_{name}_limit")(limit)
