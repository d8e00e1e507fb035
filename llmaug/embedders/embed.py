"""Turning texts into vectors whose dot product says how alike they are."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug import models
from llmaug.errors import MissingExtra, ModelError, did_you_mean
from llmaug.known_models import MODELS
from llmaug.request import Embedder

if TYPE_CHECKING:
    import numpy as np

# For each backend of sentence-transformers, what has to be importable and the package it is in.
BACKENDS: Mapping[str, Mapping[str, str]] = {
    "torch": {},
    "onnx": {"onnxruntime": "onnxruntime", "optimum.onnxruntime": "optimum-onnx"},
    "openvino": {"openvino": "openvino", "optimum.intel": "optimum-intel"},
}
SERVERS = ("served", "openai")
FAKE_DIMENSIONS = 256
AT_ONCE = 64  # texts that a model reads together, and that one request to a server holds


def embedder(
    name: str,
    *,
    device: str | None = None,
    batch_size: int | None = None,
    backend: str = "torch",
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    base_url: str | None = None,
) -> Embedder:
    """The embedder of that name.

    `minilm`, a sentence-transformers folder or its name on the hub (`org/name`; fetched where it
    is not in the hub's cache on this machine); `served:MODEL` for an OpenAI-compatible server at
    `base_url` (the key comes from LLMAUG_API_KEY or OPENAI_API_KEY); `openai:MODEL` for the
    OpenAI API; `fake` for tests and dry runs. Weights are found here and loaded at the first
    `encode`; texts longer than the model reads are cut off by it. `device` is "cpu", "cuda",
    "cuda:1", "mps", …; None takes a GPU where there is one. `backend` is torch, onnx or openvino.
    Both are for a model on this machine. `batch_size` texts (64) are read at once, or sent to a
    server in one request at most. The prompts default to those that the folder holds, and to none
    for a server. Raises `ModelError`, `MissingExtra`, or `BackendStopped` for an address that is
    none.
    """
    if not name.strip():
        raise ModelError("an embedder needs a name: minilm, a folder, org/name or served:MODEL")
    kind, _, model = name.partition(":")
    server = kind in SERVERS and bool(model)
    _check_options(name, device=device, batch_size=batch_size, backend=backend, server=server)
    if base_url is not None and not server:
        raise ModelError(
            f"a base URL goes with a served embedder, and {name} is none: write served:MODEL"
        )
    if name == "fake":
        return FakeEmbedder(query_prompt or "", document_prompt or "")
    if server:
        from llmaug.embedders.served import served

        prompts = {"query_prompt": query_prompt or "", "document_prompt": document_prompt or ""}
        return served(name, base_url=base_url, in_request=batch_size or AT_ONCE, **prompts)
    folder = _folder(name)
    _require_backend(backend)
    from llmaug.embedders.sentence import SentenceEmbedder, require_device

    require_device(device)
    return SentenceEmbedder(
        name,
        folder,
        device=device,
        batch_size=batch_size or AT_ONCE,
        backend=backend,
        query_prompt=query_prompt,
        document_prompt=document_prompt,
    )


def _check_options(
    name: str, *, device: str | None, batch_size: int | None, backend: str, server: bool
) -> None:
    """Raise `ModelError` for an option that is none, or that this embedder would not heed."""
    if backend not in BACKENDS:
        raise ModelError(
            f"no backend {backend!r} for embedders: it is torch, onnx or openvino "
            f"({did_you_mean(backend, BACKENDS)})"
        )
    if batch_size is not None and batch_size < 1:
        raise ModelError(f"the batch size of an embedder must be at least 1, not {batch_size}")
    if server and (device is not None or backend != "torch"):
        raise ModelError(f"{name} computes on its server: leave the device and backend out")
    if name == "fake" and (device not in (None, "cpu") or backend != "torch"):
        raise ModelError("fake counts words on the CPU: leave device and backend out")


class FakeEmbedder:
    """Counts words in 256 hashed bins: alike where words are shared. For tests and dry runs."""

    name = "fake"
    batch = 1024

    def __init__(self, query_prompt: str = "", document_prompt: str = "") -> None:
        self._prompts = {"query": query_prompt, "document": document_prompt}
        given = {"query_prompt": query_prompt, "document_prompt": document_prompt}
        self.parameters: Mapping[str, Any] = {k: v for k, v in given.items() if v}
        about = "words hashed into 256 bins, version 1"
        if document_prompt:
            about += repr(document_prompt)
        self.fingerprint = hashlib.sha256(about.encode("utf-8", "replace")).hexdigest()[:12]

    def prompt(self, side: str) -> str:
        return self._prompts.get(side, "")

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        import numpy as np

        prompt = self.prompt(side)
        vectors = np.zeros((len(texts), FAKE_DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            # A text without words is a bin of its own, so that no vector has length zero.
            for word in re.findall(r"\w+", (prompt + text).lower()) or [text]:
                hashed = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
                vectors[row, int.from_bytes(hashed, "big") % FAKE_DIMENSIONS] += 1
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _folder(name: str) -> Path:
    """The sentence-transformers folder of that name, with nothing in it that cannot be trusted."""
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtra("sentence-transformers", "retrieval")
    known = MODELS.get(name)
    if known is not None and known.kind != "embedder":
        raise ModelError(f"{name} is a language model, not an embedder; use minilm or a folder")
    kind, colon, _ = name.partition(":")
    if colon and kind in SERVERS:
        raise ModelError(f"{name!r} names no model: write {kind}:MODEL")
    folder = Path(models.resolve(name))
    if not folder.is_dir():
        from llmaug.embedders.hub import hub_folder

        folder = hub_folder(name)
    if not (folder / "modules.json").is_file():
        raise ModelError(f"{folder} is not a sentence-transformers folder: it has no modules.json")
    from llmaug.embedders.sentence import refuse_pickles

    refuse_pickles(folder)
    return folder


def _require_backend(backend: str) -> None:
    for module, package in BACKENDS[backend].items():
        parent = module.partition(".")[0]
        if importlib.util.find_spec(parent) is None or importlib.util.find_spec(module) is None:
            raise MissingExtra(package, backend)
