"""Embedders of the sentence-transformers library, from a folder on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.embedders.device import require_device as require_device
from llmaug.embedders.loading import load_retriever, task_of
from llmaug.errors import ModelError
from llmaug.model_sources import sha256

if TYPE_CHECKING:
    import numpy as np

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
# Files that change no vector: words for people, what llmaug keeps itself, weights of other kinds.
NOT_READ = frozenset({".md", ".csv", ".h5", ".msgpack", ".ot", ".lock"}) | PICKLED
NOT_READ_NAMES = frozenset({"manifest.json", "data_config.json", "LICENSE", "LICENSE.txt"})
EXPORTS = ("onnx", "openvino")  # the folders in which those backends keep their weights

# Keys of the prompts in a folder's configuration, in the order of sentence-transformers.
SIDES = {"query": ("query",), "document": ("document", "passage", "corpus")}

BATCHES_PER_CALL = 8  # texts are sorted by length within a call, which makes padding cheap
# A token spans 4 to 6 characters. A text of this many per token is cut before the tokenizer, which
# would work through all of a 1 MB text for the first 256 tokens.
MOST_CHARACTERS_PER_TOKEN = 64
BEGINNING = 60  # characters of a text that an error shows


class SentenceEmbedder:
    """A sentence-transformers folder, loaded at the first `encode`; nothing is written into it.

    The fingerprint is of every file that the model reads, the documents' prompt and the backend,
    and is taken without loading the model. With the backend onnx or openvino and no exported
    weights in the folder, the model is exported at every loading.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        device: str | None = None,
        batch_size: int = 64,
        backend: str = "torch",
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> None:
        self.name, self.folder = name, folder
        self.device, self.batch_size, self.backend = device, batch_size, backend
        self.batch = BATCHES_PER_CALL * batch_size
        given = {"query": query_prompt, "document": document_prompt}
        chosen = {"query_prompt": query_prompt, "document_prompt": document_prompt}
        chosen["backend"] = None if backend == "torch" else backend
        self.parameters: Mapping[str, Any] = {k: v for k, v in chosen.items() if v is not None}
        kept = prompts(folder)
        self._prompts = {side: kept[side] if text is None else text for side, text in given.items()}
        self._model: Any = None
        self._one_at_a_time = threading.Lock()
        self._fingerprint = ""

    def prompt(self, side: str) -> str:
        return self._prompts.get(side, "")

    @property
    def fingerprint(self) -> str:
        if not self._fingerprint:
            about = [
                self.backend,
                self.prompt("document"),
                _checksums(self.folder, backend=self.backend),
            ]
            encoded = json.dumps(about, sort_keys=True).encode()
            self._fingerprint = hashlib.sha256(encoded).hexdigest()[:12]
        return self._fingerprint

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        """See `Embedder`; raises `ModelError` where a vector holds NaN or infinity."""
        import numpy as np

        if not texts:
            return self.encode([""], side=side)[:0]
        with self._one_at_a_time:
            if self._model is None:
                self._model = self._load()
            longest = (self._model.max_seq_length or 0) * MOST_CHARACTERS_PER_TOKEN
            clean = [_clean(text, longest) for text in texts]
            # sentence-transformers batches by length and puts the rows back in order.
            vectors = self._model.encode(
                clean,
                **task_of(self._model, side),
                prompt=self.prompt(side),  # not None, which would take the folder's default
                batch_size=self.batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        vectors = np.asarray(vectors, dtype=np.float32)
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise ModelError(
                f"{self.name} gives NaN or infinity for {len(broken)} of {len(texts)} texts, the "
                f"first of which begins {clean[broken[0]][:BEGINNING]!r}; the weights are damaged "
                "or their numbers overflow on this device"
            )
        return vectors

    def fits(self, texts: Sequence[str], *, side: str = "") -> list[bool]:
        """Whether the model reads each text, its prompt before it, to the end."""
        with self._one_at_a_time:
            if self._model is None:
                self._model = self._load()
            most = self._model.max_seq_length
            if not most or most == float("inf") or not texts:
                return [True] * len(texts)
            longest = most * MOST_CHARACTERS_PER_TOKEN
            clean = [_clean(self.prompt(side) + text, longest) for text in texts]
            # One token more than the model reads is enough to know.
            found = self._model.tokenizer(clean, truncation=True, max_length=most + 1)
        tokens = map(len, found["input_ids"])
        return [n <= most and len(t) <= longest for n, t in zip(tokens, texts, strict=True)]

    def _load(self) -> Any:
        # Before the model, so that a folder that is trained anew later is not taken for this one.
        _ = self.fingerprint
        try:
            with quietly(self.backend):
                if self.backend == "openvino":
                    # It tells its makers of every import unless this package cannot be imported.
                    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
                return load_retriever(
                    self.folder,
                    device=self.device,
                    backend=self.backend,
                    model_kwargs={"use_safetensors": True} if self.backend == "torch" else None,
                )
        except Exception as error:  # a foreign folder can break in any way inside the library
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            way = "" if self.backend == "torch" else f" with {self.backend}"
            if way and isinstance(error, ImportError):
                said += (
                    f"; its packages do not fit this version of transformers: run pip install "
                    f"'llmaug[{self.backend}]' in an environment of its own"
                )
            raise ModelError(f"{self.folder} does not load{way}: {said}") from error


def prompts(folder: Path) -> dict[str, str]:
    """What a sentence-transformers folder puts before a query and before a document."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return dict.fromkeys(SIDES, "")
    try:
        kept = json.loads(path.read_bytes()).get("prompts") or {}
        # The library saves an empty "document" beside a "passage", and then uses neither.
        return {
            side: next((str(kept[key]) for key in keys if kept.get(key)), "")
            for side, keys in SIDES.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None


def refuse_pickles(folder: Path) -> None:
    """Raise `ModelError` where a part of the model could only be read from a pickle."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in PICKLED or any(path.parent.glob("*.safetensors")):
            continue
        if path.with_suffix(".xml").is_file():
            continue  # OpenVINO's weights, which are bare numbers
        raise ModelError(
            f"{path} is a pickle, which can run code when read; convert it to "
            "safetensors (the hub's safetensors/convert space does that)"
        )


def _clean(text: str, longest: float) -> str:
    """What a tokenizer takes: it refuses half of a surrogate pair, which JSON can bring in."""
    cut = text[: int(longest)] if 0 < longest < len(text) else text
    return cut.encode("utf-8", "replace").decode()


def _checksums(folder: Path, *, backend: str) -> dict[str, str]:
    """The SHA-256 of each file that the model reads, by its path in the folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        other_export = parts[0] in EXPORTS and parts[0] != backend
        hidden = any(part.startswith(".") for part in parts)  # such as a downloader's notes
        weights = backend == "openvino" and path.with_suffix(".xml").is_file()
        read = path.suffix not in NOT_READ or weights
        if other_export or hidden or not read or path.name in NOT_READ_NAMES:
            continue
        if path.is_file():
            files["/".join(parts)] = sha256(path)
    return files


@contextlib.contextmanager
def quietly(backend: str) -> Iterator[None]:
    """Without the progress bars and the remarks of loading."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        if backend == "torch":
            yield
            return
        # An export speaks through many loggers and warnings. Some loggers reset their own level,
        # and some packages that it imports reset what is disabled.
        disabled = logging.root.manager.disable
        logging.disable(logging.ERROR)
        advice = logging.getLogger("sentence_transformers.backend")  # to save into the folder
        advice_level = advice.level
        advice.setLevel(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(disabled)
            advice.setLevel(advice_level)
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
