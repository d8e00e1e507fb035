"""Turning texts into vectors whose dot product says how alike they are."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug import models
from llmaug.errors import MissingExtra, ModelError
from llmaug.known_models import MODELS
from llmaug.request import Embedder

if TYPE_CHECKING:
    import numpy as np

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
FAKE_DIMENSIONS = 256


def embedder(name: str, *, device: str | None = None, batch_size: int = 64) -> Embedder:
    """The embedder of that name: `minilm`, a sentence-transformers folder, or `fake`.

    Weights are found here and loaded at the first `encode`. `device` is "cpu", "cuda", …; None
    takes a GPU where there is one. Texts longer than the model reads are cut off by it.
    """
    if name == "fake":
        return FakeEmbedder()
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtra("sentence-transformers", "retrieval")
    known = MODELS.get(name)
    if known is not None and known.kind != "embedder":
        raise ModelError(f"{name} is a language model, not an embedder; use minilm or a folder")
    folder = Path(models.resolve(name))
    if not folder.is_dir():
        raise ModelError(
            f"the embedder {name!r} is not on this machine; bring it into a folder "
            f"(hf download {name} --local-dir FOLDER) and give that folder"
        )
    if not (folder / "modules.json").is_file():
        raise ModelError(f"{folder} is not a sentence-transformers folder: it has no modules.json")
    _refuse_pickles(folder)
    return SentenceEmbedder(name, folder, device=device, batch_size=batch_size)


class FakeEmbedder:
    """Counts words in 256 hashed bins: alike where words are shared. For tests and dry runs."""

    name = "fake"
    fingerprint = hashlib.sha256(b"words hashed into 256 bins, version 1").hexdigest()[:12]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        vectors = np.zeros((len(texts), FAKE_DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            # A text without words is a bin of its own, so that no vector has length zero.
            for word in re.findall(r"\w+", text.lower()) or [text]:
                hashed = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
                vectors[row, int.from_bytes(hashed, "big") % FAKE_DIMENSIONS] += 1
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


class SentenceEmbedder:
    """A sentence-transformers folder on disk, loaded at the first `encode`."""

    def __init__(self, name: str, folder: Path, *, device: str | None, batch_size: int) -> None:
        self.name, self.folder = name, folder
        self.device, self.batch_size = device, batch_size
        self._model: Any = None
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        if not self._fingerprint:
            self._fingerprint = models.fingerprint(self.folder)
        return self._fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        if self._model is None:
            self._model = self._load()
        if not texts:
            return self.encode([""])[:0]
        # Tokenizers refuse half of a surrogate pair, which a JSON escape can bring in.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        # sentence-transformers batches by length and puts the rows back in order.
        vectors = self._model.encode(
            clean,
            batch_size=self.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _load(self) -> Any:
        with _without_progress_bars():
            from sentence_transformers import SentenceTransformer

            return SentenceTransformer(
                str(self.folder),
                device=self.device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )


def _refuse_pickles(folder: Path) -> None:
    """Raise `ModelError` where a part of the model could only be read from a pickle."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLED and not any(path.parent.glob("*.safetensors")):
            raise ModelError(
                f"{path} is a pickle, which can run code when read; convert it to "
                "safetensors (the hub's safetensors/convert space does that)"
            )


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
