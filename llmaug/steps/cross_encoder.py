"""A cross-encoder's folder: a model that reads two texts together and answers with numbers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import MissingExtra, ModelError
from llmaug.steps.generate import file_mark

if TYPE_CHECKING:
    import numpy as np

TextPair = tuple[str, str]  # a premise and a conclusion, or a query and a passage

PAIRS_AT_ONCE = 32  # in one pass of the model
MOST_GATHERED = 512  # pairs sorted by length together, which makes padding cheap
MOST_CHARACTERS_PER_TOKEN = 64  # a longer text is cut before the tokenizer would read all of it
USUAL_LONGEST = 512  # tokens of a pair, where the folder does not say
READ = ("*.safetensors", "*.json", "*.txt", "*.model")  # the files that change an answer
ROBERTA = frozenset({"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"})


def settings_of(folder: Path, *, purpose: str) -> Mapping[str, Any]:
    """What the folder's config.json says; `ModelError` where it is no usable cross-encoder.

    Nothing else is read. Weights in pickles are refused here, before anything is loaded.
    `purpose` completes "a cross-encoder trained for".
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtra("transformers", "transformers")
    configuration = folder / "config.json"
    if not configuration.is_file():
        missing = "it has no config.json" if folder.is_dir() else "there is no such folder"
        raise ModelError(f"{folder} is not a model's folder: {missing}")
    try:
        settings = json.loads(configuration.read_bytes())
        kinds = settings.get("architectures") or [""]
        kind = str(kinds[0])
    except (OSError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise ModelError(f"{configuration} cannot be read: {error}") from None
    if not kind.endswith("ForSequenceClassification"):
        raise ModelError(
            f"{folder} holds {kind or 'an unnamed model'}, not a sequence classifier; give a "
            f"cross-encoder trained for {purpose}"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no safetensors weights; other formats are not loaded")
    checked: Mapping[str, Any] = settings
    return checked


def fingerprint(folder: Path) -> str:
    """12 hex digits of the SHA-256 over the weights, the configuration and the tokenizer."""
    files = sorted({path for pattern in READ for path in folder.glob(pattern)})
    marks = "\n".join(f"{path.name}\0{file_mark(str(path))}" for path in files)
    return hashlib.sha256(marks.encode()).hexdigest()[:12]


class CrossEncoder:
    """A model that is loaded at the first pair, from safetensors on this machine alone.

    Pairs that are awaited are worked on in one thread: while one batch runs the next one fills,
    whichever roots or event loops the pairs come from; an error reaches every caller of its batch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting: deque[tuple[Sequence[TextPair], Future[np.ndarray]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cross-encoder")
        self._loaded: tuple[Any, Any, int] | None = None
        self._alone = threading.Lock()

    async def gathered(self, pairs: Sequence[TextPair]) -> np.ndarray:
        """As `logits`, together with whatever else waits."""
        future: Future[np.ndarray] = Future()
        self._waiting.append((pairs, future))
        self._thread.submit(self._work)
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        """Answer whatever waits; called once for each caller, and mostly finds nothing left."""
        batch = []
        size = 0
        while self._waiting and size < MOST_GATHERED:
            pairs, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                batch.append((pairs, future))
                size += len(pairs)
        if not batch:
            return
        try:
            found = self.logits([pair for pairs, _ in batch for pair in pairs])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for pairs, future in batch:
            future.set_result(found[: len(pairs)])
            found = found[len(pairs) :]

    def logits(self, pairs: Sequence[TextPair]) -> np.ndarray:
        """The raw outputs for each pair in the order given, (n, outputs) float32.

        A pair too long for the model loses the end of its longer text.
        """
        import numpy as np
        import torch

        with self._alone:
            if self._loaded is None:
                self._loaded = _load(self.folder)
            tokenizer, model, longest = self._loaded
            order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])))
            found = np.zeros((len(pairs), model.config.num_labels), dtype=np.float32)
            for start in range(0, len(order), PAIRS_AT_ONCE):
                chosen = order[start : start + PAIRS_AT_ONCE]
                encoded = tokenizer(
                    [_clean(pairs[i][0], longest) for i in chosen],
                    [_clean(pairs[i][1], longest) for i in chosen],
                    truncation="longest_first",
                    max_length=longest,
                    padding=True,
                    return_tensors="pt",
                ).to(model.device)
                with torch.inference_mode():
                    found[chosen] = model(**encoded).logits.float().cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(
                f"{self.folder} gives NaN for a pair of texts; its weights are damaged"
            )
        return found


def _load(folder: Path) -> tuple[Any, Any, int]:
    """The tokenizer, the model and how many tokens of a pair it reads."""
    try:
        with _quietly():
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
            model, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
            device = "cuda" if torch.cuda.is_available() else "cpu"
            model = model.float().eval().to(device)
    except Exception as error:  # a foreign folder can break in any way inside the library
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"{folder} does not load: {said}") from error
    if report["missing_keys"]:
        lacking = sorted(report["missing_keys"])[0]
        raise ModelError(f"{folder} lacks weights of its classifier, such as {lacking}")
    return tokenizer, model, _longest(tokenizer, model.config)


def _longest(tokenizer: Any, settings: Any) -> int:
    places = getattr(settings, "max_position_embeddings", 0) or USUAL_LONGEST
    if settings.model_type in ROBERTA:
        places -= (settings.pad_token_id or 0) + 1  # its positions begin behind the padding's
    return int(min(places, tokenizer.model_max_length))


def _clean(text: str, longest: int) -> str:
    """What a tokenizer takes: it refuses half of a surrogate pair, which JSON can bring in."""
    return text[: longest * MOST_CHARACTERS_PER_TOKEN].encode("utf-8", "replace").decode()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the progress bars and the remarks of loading."""
    from transformers.utils import logging as remarks

    level, shown = remarks.get_verbosity(), remarks.is_progress_bar_enabled()
    remarks.set_verbosity_error()
    remarks.disable_progress_bar()
    try:
        yield
    finally:
        remarks.set_verbosity(level)
        if shown:
            remarks.enable_progress_bar()
