"""Embedders by their name on the Hugging Face hub: in its cache on this machine, else fetched."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from llmaug.errors import ModelError
from llmaug.model_sources import HUB_SECONDS

TAKEN = ("*.safetensors", "*.json", "*.txt", "*.model")  # no pickles and no code
MODULES = "modules.json"  # what makes a folder one of sentence-transformers

log = logging.getLogger("llmaug")


def hub_folder(name: str) -> Path:
    """The folder of the embedder `org/name` in the hub's cache, fetched where it lacks.

    What is on this machine is taken as it is; the hub is not asked whether there is something
    newer. Only safetensors, configuration and tokenizers are fetched, with the token in HF_TOKEN if
    there is one. Raises `ModelError` in one line, also where HF_HUB_OFFLINE forbids asking.
    """
    with quietly():
        return _cached(name) or _fetched(name)


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        kept = Path(snapshot_download(name, allow_patterns=list(TAKEN), local_files_only=True))
    except (OSError, ValueError):  # not there, or not all of it
        return None
    # Another program may have left a part of it there, or pickled weights alone.
    whole = (kept / MODULES).is_file() and any(kept.rglob("*.safetensors"))
    return kept if whole else None


def _fetched(name: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        raise _absent(name, "the hub is switched off (HF_HUB_OFFLINE)")
    log.warning("fetching the embedder %s from the Hugging Face hub", name)
    token = os.environ.get("HF_TOKEN") or False  # no key that lies in a file
    try:
        # Asked once; the download itself would try for half a minute where there is no network.
        there = HfApi(token=token).model_info(name, timeout=HUB_SECONDS).siblings or []
        files = [file.rfilename for file in there]
        if MODULES in files and any(file.endswith(".safetensors") for file in files):
            return Path(snapshot_download(name, allow_patterns=list(TAKEN), token=token))
    # Whatever its client raises (and that changes with its version), the hub did not deliver.
    except Exception as error:
        why = (str(error).strip().splitlines() or [""])[0]
        raise _absent(name, f"the hub gave {type(error).__name__}: {why}") from None
    if MODULES not in files:
        raise ModelError(f"{name} on the hub is no sentence-transformers model: no {MODULES}")
    raise ModelError(
        f"the hub has no safetensors of {name}, and pickles are not read; name another "
        "embedder, or convert it (the hub's safetensors/convert space does that)"
    )


def _absent(name: str, why: str) -> ModelError:
    return ModelError(
        f"the embedder {name!r} is not on this machine, and {why}; bring it into a folder "
        f"(hf download {name} --local-dir FOLDER) and give that folder, or ask a server for it "
        "with served:MODEL"
    )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars and the remarks of the hub's client."""
    from huggingface_hub import utils
    from huggingface_hub.utils import logging as remarks

    level, shown = remarks.get_verbosity(), not utils.are_progress_bars_disabled()
    remarks.set_verbosity_error()
    if shown:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        remarks.set_verbosity(level)
        if shown:
            utils.enable_progress_bars()
