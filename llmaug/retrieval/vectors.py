"""A store of vectors found by the text they were made from, so that no text is encoded twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError, did_you_mean
from llmaug.journal import explained
from llmaug.request import Embedder
from llmaug.retrieval.vector_file import (
    DTYPES,
    KEY_BYTES,
    KEYS,
    VECTORS,
    Appender,
    locked,
    state,
)
from llmaug.retrieval.vector_manifest import MANIFEST, Manifest, check_probe
from llmaug.retrieval.vector_rows import Rows, halves
from llmaug.retrieval.vector_windows import windows

if TYPE_CHECKING:
    import numpy as np

BEGUN_FRESH = "fresh"  # a file that is there from when a store was emptied until it is filled


def key(text: str) -> bytes:
    """What a text is filed under: 16 bytes, BLAKE2b of the text without the prompt before it.

    A store takes an array of them: `np.frombuffer(b"".join(keys), dtype="V16")`.
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


class VectorStore:
    """The vectors of one embedder in a folder: memory-mapped, growing only, whole after a kill.

    Opens the folder or makes it, unless `create` is false; `fresh` throws away what it held.
    Raises `RetrievalError` when the vectors there come from other weights, another document
    prompt or another `dtype` (None takes the store's own). The embedder's name may differ: a
    model folder can move.

    float16 takes half the disk and moves a dot product of unit vectors by less than 0.0005 (half
    of its last bit, 2^-11); 0.00005 at most over 300 SciFact queries and 300 documents (MiniLM).

    One process at a time writes; any number read meanwhile. Threads may share a store for
    `rows` and `block`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        embedder: Embedder,
        dtype: str | None = "float32",
        fresh: bool = False,
        create: bool = True,
    ) -> None:
        if dtype is not None and dtype not in DTYPES:
            raise RetrievalError(
                f"vectors cannot be stored as {dtype!r}; {did_you_mean(dtype, DTYPES)}"
            )
        self.folder, self.embedder, self._dtype = Path(folder), embedder, dtype
        self._probed = False
        # A --fresh that was killed and is repeated goes on.
        fresh = fresh and not (self.folder / BEGUN_FRESH).exists()
        if fresh or not (self.folder / MANIFEST).exists():
            if not create:
                raise RetrievalError(f"no vector store at {self.folder}; where was it moved to?")
            self._create(fresh=fresh)
        self._open()

    @property
    def dimension(self) -> int:
        return self._manifest.dimension

    @property
    def dtype(self) -> str:
        return self._manifest.dtype

    @property
    def probe(self) -> list[float]:
        """The vector of a fixed sentence, by which the embedder is known again."""
        return self._manifest.probe

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key, (n,) int64; -1 where the store lacks it."""
        return self._rows.find(halves(keys))

    def block(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows in this order, (n, dimension) float32."""
        return self._rows.block(rows)

    def check_probe(self) -> None:
        """Raise `RetrievalError` when the embedder no longer gives the vectors stored here.

        A server may answer with other weights under the same name. The fixed sentence is encoded
        once in the life of this object.
        """
        if self._probed:
            return
        check_probe(self.embedder, self.probe, made=str(self.folder))
        self._probed = True

    def fill(
        self,
        texts: Callable[[np.ndarray], Sequence[str]],
        keys: np.ndarray,
        *,
        progress: Callable[[int, int], None] | None = None,
        name: Callable[[int], str] = lambda position: f"text number {position + 1}",
    ) -> int:
        """Encode what is missing of these keys; the number of texts encoded.

        `texts` gives the texts at an int64 array of positions in `keys`; equal keys are asked for
        once. Each batch is on file before the next begins: whatever stops the work (an error of
        the embedder, which is passed on, Ctrl-C, kill -9) loses one batch at most. `name` says
        in errors which text it was; `progress` is told after each batch how many texts are done
        and how many there are to do. Raises `RetrievalError` for a vector that is not finite or
        of another dimension, for a text that no longer fits its key, and while another process
        writes; `OutputError` when the disk is full.
        """
        keys = halves(keys)
        if (self._rows.find(keys) >= 0).all():
            return 0
        with locked(self.folder):
            self._open(self._rows)  # another process may have added rows
            missing = self._rows.missing(keys)
            if not len(missing):
                return 0
            self.check_probe()
            done = 0
            try:
                with Appender(self.folder, self._manifest.shape) as appender:
                    for positions, batch in self._batches(texts, missing, keys=keys, name=name):
                        vectors = self._encoded(batch, name=_name_at(positions, name))
                        appender.append(vectors, keys[positions])
                        done += len(batch)
                        if progress is not None:
                            progress(done, len(missing))
            finally:
                self._open(self._rows)
            (self.folder / BEGUN_FRESH).unlink(missing_ok=True)
        return done

    def _batches(
        self,
        texts: Callable[[np.ndarray], Sequence[str]],
        missing: np.ndarray,
        *,
        keys: np.ndarray,
        name: Callable[[int], str],
    ) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Positions and texts, one batch at a time, longest first within a window.

        So texts of a batch are of a length, and what does not fit in memory shows at once.
        """
        import numpy as np

        for window, held in windows(texts, missing):
            longest_first = np.argsort([-len(text) for text in held], kind="stable")
            for begin in range(0, len(window), self.embedder.batch):
                chosen = longest_first[begin : begin + self.embedder.batch]
                positions, batch = window[chosen], [held[i] for i in chosen]
                for position, text in zip(positions.tolist(), batch, strict=True):
                    if key(text) != keys[position].tobytes():
                        raise RetrievalError(
                            f"{name(position)} changed while it was being encoded; "
                            "run the same command again"
                        )
                yield positions, batch

    def _encoded(self, texts: Sequence[str], *, name: Callable[[int], str]) -> np.ndarray:
        """The vectors of these texts as they are stored; `name` says which text is at fault."""
        import numpy as np

        vectors = np.asarray(self.embedder.encode(texts, side="document"))
        if vectors.shape != (len(texts), self.dimension):
            raise RetrievalError(
                f"{self.embedder.name} gave vectors of shape {vectors.shape} for {len(texts)} "
                f"texts from {name(0)} on; {self.folder} holds dimension {self.dimension}"
            )
        with np.errstate(over="ignore"):  # found below
            stored = vectors.astype(DTYPES[self.dtype])
        finite = np.isfinite(stored).all(axis=1)
        if not finite.all():
            raise RetrievalError(
                f"{self.embedder.name} gave NaN or infinity for {name(int(finite.argmin()))}; "
                "mend that text, or leave it out, and run the same command again"
            )
        return stored

    def _open(self, before: Rows | None = None) -> None:
        """See what is on file now, if it is what this embedder makes."""
        manifest = Manifest.read(self.folder)
        manifest.refuse_other(
            self.folder,
            fingerprint=self.embedder.fingerprint,
            prompt=self.embedder.prompt("document"),
            dtype=self._dtype,
        )
        if before is None or state(self.folder, manifest.shape) != before.state:
            before = Rows(self.folder, manifest.shape)
        self._manifest, self._rows = manifest, before

    def _create(self, *, fresh: bool) -> None:
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        contents = [self.folder / VECTORS, self.folder / KEYS]
        with locked(self.folder):
            if not fresh and (self.folder / MANIFEST).exists():
                return  # another process was faster
            if not fresh and any(path.exists() and path.stat().st_size for path in contents):
                raise RetrievalError(
                    f"{self.folder} holds vectors but no {MANIFEST}; bring it back or start anew "
                    "with --fresh"
                )
            # Before anything goes, so that an embedder that fails costs nothing.
            manifest = Manifest.of(self.embedder, self._dtype or "float32")
            with explained(self.folder):
                for path in (self.folder / MANIFEST, *contents):
                    path.unlink(missing_ok=True)
                for path in (*contents, *([self.folder / BEGUN_FRESH] if fresh else ())):
                    path.touch()
            manifest.write(self.folder)
        self._probed = True


def _name_at(positions: np.ndarray, name: Callable[[int], str]) -> Callable[[int], str]:
    """Names the texts of a batch by their place in it."""
    return lambda place: name(int(positions[place]))
