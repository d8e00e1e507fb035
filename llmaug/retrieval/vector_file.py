"""Vectors and the keys of their texts in two files that only grow, whole after any kill.

`vectors.bin` holds raw rows, each with its CRC-32 behind it, `keys.bin` 16 bytes for each. A row
counts when both are complete; vectors are written first, so a kill leaves at worst a tail of
vectors without keys.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import OutputError, RetrievalError
from llmaug.journal import explained

if TYPE_CHECKING:
    import numpy as np

VECTORS, KEYS, LOCK = "vectors.bin", "keys.bin", "lock"
KEY_BYTES, SUM_BYTES = 16, 4
DTYPES = {"float32": "<f4", "float16": "<f2"}
SYNC_SECONDS = 5.0
# A crash costs the rows of one batch, a power cut those of a few seconds. One file that is
# longer than the other by more rows than that was not left so by either.
LONGEST_TAIL = 1 << 20


class Shape(NamedTuple):
    """What one vector is: how many numbers of which type."""

    dimension: int
    dtype: str

    @property
    def row_bytes(self) -> int:
        return self.dimension * (2 if self.dtype == "float16" else 4) + SUM_BYTES

    @property
    def row(self) -> Any:
        """A row as NumPy reads it: its numbers, and their checksum."""
        return [("numbers", DTYPES[self.dtype], (self.dimension,)), ("sum", "<u4")]


class State(NamedTuple):
    """Which two files these are (their inodes) and how many rows both hold."""

    vectors: int
    keys: int
    rows: int


class Appender:
    """Adds rows at the end; a torn tail is cut off when it begins and when it ends."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder, self._shape = folder, shape
        self._files = contextlib.ExitStack()
        self._synced = time.monotonic()

    def __enter__(self) -> Appender:
        self._vectors, self._keys = self._files.enter_context(
            opened(self._folder, os.O_RDWR | os.O_APPEND)
        )
        self._cut()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        # What stopped the work is what the user should read, not what followed from it.
        followed = contextlib.suppress(OutputError) if failed else contextlib.nullcontext()
        with self._files, followed:
            self._cut()
            self._sync()

    def append(self, vectors: np.ndarray, keys: np.ndarray) -> None:
        """Add one row per key; `OutputError` when the disk is full, with earlier rows kept."""
        _write(self._vectors, self._summed(vectors), path=self._folder / VECTORS)
        _write(self._keys, keys, path=self._folder / KEYS)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _summed(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np

        rows = np.empty(len(vectors), dtype=self._shape.row)
        rows["numbers"], rows["sum"] = vectors, sums(vectors)
        return rows

    def _cut(self) -> None:
        whole = state_of(self._vectors, self._keys, folder=self._folder, shape=self._shape).rows
        with explained(self._folder):
            os.ftruncate(self._vectors, whole * self._shape.row_bytes)
            os.ftruncate(self._keys, whole * KEY_BYTES)

    def _sync(self) -> None:
        with explained(self._folder):
            os.fsync(self._vectors)
            os.fsync(self._keys)
        self._synced = time.monotonic()


def sums(vectors: np.ndarray) -> list[int]:
    """The CRC-32 of each row."""
    width = vectors.shape[1] * vectors.itemsize
    content = memoryview(vectors.tobytes())
    return [zlib.crc32(content[i : i + width]) for i in range(0, len(vectors) * width, width)]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among writers; `RetrievalError` when another one is there. Readers need no lock."""
    with explained(folder):
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with explained(folder / LOCK):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RetrievalError(
                    f"another process works in {folder}; wait for it or name another folder"
                ) from None
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def opened(folder: Path, flags: int) -> Iterator[tuple[int, int]]:
    """The descriptors of the vectors and the keys."""
    with contextlib.ExitStack() as stack:
        handles = []
        for path in (folder / VECTORS, folder / KEYS):
            if not path.is_file():
                raise RetrievalError(f"{path} is missing; bring it back or start anew with --fresh")
            try:
                handles.append(os.open(path, flags))
            except OSError as error:
                raise RetrievalError(f"{path} cannot be opened: {error.strerror}") from None
            stack.callback(os.close, handles[-1])
        yield handles[0], handles[1]


def state(folder: Path, shape: Shape) -> State:
    """What the files hold now; `RetrievalError` when one of them lost more than a kill can."""
    with opened(folder, os.O_RDONLY) as (vectors, keys):
        return state_of(vectors, keys, folder=folder, shape=shape)


def state_of(vectors: int, keys: int, *, folder: Path, shape: Shape) -> State:
    key_file, vector_file = os.fstat(keys), os.fstat(vectors)
    with_key = key_file.st_size // KEY_BYTES
    with_vector = vector_file.st_size // shape.row_bytes
    if abs(with_key - with_vector) > LONGEST_TAIL:
        raise RetrievalError(
            f"{folder}: {VECTORS} holds {with_vector:,} rows but {KEYS} {with_key:,} (an "
            "unfinished copy?); copy both files again or start anew with --fresh"
        )
    return State(vector_file.st_ino, key_file.st_ino, min(with_key, with_vector))


def _write(handle: int, rows: np.ndarray, *, path: Path) -> None:
    left = memoryview(rows.tobytes())
    with explained(path):
        while left:
            left = left[os.write(handle, left) :]
