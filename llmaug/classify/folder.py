"""Sequence-classification models of the transformers library, from a folder on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.classify.labels import Class, checked_classes
from llmaug.classify.probabilities import checked
from llmaug.embedders.device import require_device
from llmaug.embedders.sentence import MOST_CHARACTERS_PER_TOKEN, quietly, refuse_pickles
from llmaug.errors import ClassifierError, MissingExtra, ModelError
from llmaug.model_sources import sha256

if TYPE_CHECKING:
    import numpy as np

READ = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
NO_LIMIT = 10**6  # tokens; tokenizers say so many and more where they know of no limit
USUAL = 512  # tokens that are read where nothing says how many the model takes


class FolderClassifier:
    """A transformers folder for sequence classification, loaded at the first text.

    Texts are read up to the length that the model takes. `classes` are the names in its
    configuration (id2label) unless given. The fingerprint is of the weights, the configuration
    and the tokenizer. Raises `ClassifierError` for a model that does not choose one of several
    classes, and `ModelError` for weights that cannot be trusted. See `Classifier`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        classes: Sequence[Class] | None = None,
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        if batch_size < 1:
            raise ClassifierError(f"the batch size must be at least 1, not {batch_size}")
        self.name, self.folder = str(folder), folder
        own = _classes(folder)
        self.classes = own if classes is None else checked_classes(classes)
        if len(self.classes) != len(own):
            raise ClassifierError(
                f"{folder} has {len(own)} classes ({', '.join(own)}), and {len(self.classes)} are "
                "named"
            )
        refuse_pickles(folder)
        if not any(folder.glob("*.safetensors")):
            raise ModelError(f"{folder} holds no safetensors weights; other formats are not loaded")
        require_device(device)
        self.device, self.batch_size = device, batch_size
        self._model: Any = None
        self._tokenizer: Any = None
        self._longest = USUAL
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        if not self._fingerprint:
            files = [path for path in sorted(self.folder.iterdir()) if path.suffix in READ]
            about = [[path.name, sha256(path)] for path in files if path.name != "manifest.json"]
            encoded = json.dumps([about, self.classes]).encode()
            self._fingerprint = hashlib.sha256(encoded).hexdigest()[:12]
        return self._fingerprint

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        if not texts:
            return np.zeros((0, len(self.classes)))
        if self._model is None:
            self._load()
        # Half of a surrogate pair, which JSON can bring in, is refused by tokenizers.
        most = self._longest * MOST_CHARACTERS_PER_TOKEN
        clean = [text[:most].encode("utf-8", "replace").decode() for text in texts]
        order = sorted(range(len(clean)), key=lambda row: len(clean[row]))
        logits = np.zeros((len(clean), len(self.classes)))
        # Without a padding token (GPT-2) texts of different lengths cannot be read together.
        size = 1 if self._tokenizer.pad_token_id is None else self.batch_size
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            logits[rows] = self._logits([clean[row] for row in rows])
        return checked(
            logits, rows=len(texts), classes=len(self.classes), outputs="logits", name=self.name
        )

    def _logits(self, texts: list[str]) -> np.ndarray:
        import torch

        read = self._tokenizer(
            texts,
            truncation=True,
            max_length=self._longest,
            padding=len(texts) > 1,
            return_tensors="pt",
        )
        with torch.inference_mode():
            found = self._model(**read.to(self._model.device)).logits
        logits: np.ndarray = found.double().cpu().numpy()
        return logits

    def _load(self) -> None:
        # Before the model, so that a folder that is trained anew later is not taken for this one.
        _ = self.fingerprint
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError:
            raise MissingExtra("transformers", "transformers") from None
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            with quietly("torch"):
                self._tokenizer = AutoTokenizer.from_pretrained(str(self.folder), **local)
                model, loaded = AutoModelForSequenceClassification.from_pretrained(
                    str(self.folder), use_safetensors=True, output_loading_info=True, **local
                )
        except Exception as error:  # a foreign folder can break in any way inside the library
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelError(f"{self.folder} does not load: {said}") from error
        if absent := sorted(loaded["missing_keys"]):
            raise ModelError(
                f"{self.folder} lacks {len(absent)} of its weights, such as {absent[0]}: it was "
                "not trained as a classifier"
            )
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.eval().to(device)
        self._longest = _longest(model, self._tokenizer)


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the classes in a folder's configuration, in the order of the columns."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
        kinds, problem = config.get("architectures") or [], config.get("problem_type")
        names = config.get("id2label") or {
            str(place): f"LABEL_{place}" for place in range(int(config.get("num_labels", 2)))
        }
        found = tuple(str(names[str(place)]) for place in range(len(names)))
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError):
        raise ClassifierError(f"{path} is not a configuration that can be read") from None
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        raise ClassifierError(
            f"{folder} holds {' or '.join(map(str, kinds)) or 'an unknown model'}, which is no "
            "sequence classifier; give a folder of …ForSequenceClassification"
        )
    if problem not in (None, "single_label_classification") or len(found) < 2:
        what = problem or "a single score"
        raise ClassifierError(
            f"{folder} gives {what} and does not choose one of several classes; give another model"
        )
    return tuple(str(one) for one in checked_classes(found))


def _longest(model: Any, tokenizer: Any) -> int:
    """How many tokens the model reads of a text."""
    places = getattr(model.config, "max_position_embeddings", None) or NO_LIMIT
    embeddings = getattr(model.base_model, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if (padding := getattr(table, "padding_idx", None)) is not None:
        places -= padding + 1  # RoBERTa counts positions from behind that of padding
    longest = min(places, tokenizer.model_max_length)
    return int(longest) if longest < NO_LIMIT else USUAL
