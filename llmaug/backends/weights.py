"""Where the weights of an in-process model lie, and which ones they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from llmaug import models
from llmaug.errors import MissingExtra, ModelError

# What is fetched of a hub repository: safetensors and text, so nothing that runs code.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]


def model_folder(name: str) -> Path:
    """The folder to load for a short name, a folder or a hub id (`org/name`).

    A hub id is fetched into the Hugging Face cache unless it is there. Raises `ModelError` where
    there is no model in safetensors format.
    """
    place = models.resolve(name)
    folder = Path(place) if Path(place).is_dir() else _from_hub(place)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model's folder: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no safetensors weights; other formats are not loaded")
    return folder


def identity(folder: Path) -> dict[str, str]:
    """What tells these weights and settings from others of the same name.

    For a hub snapshot its commit. For any other folder 12 hex digits of the SHA-256 of the
    weights (about a second for each gigabyte, and the file is then in memory for loading) and
    of the configuration, tokenizer and chat template.
    """
    if folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name):
        return {"revision": folder.name}
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.jinja")]):
        if path.name != models.MANIFEST:  # says when it was pulled, not what
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return {"weights": models.fingerprint(folder), "settings": digest.hexdigest()[:12]}


def _from_hub(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra("huggingface_hub", "transformers") from None
    try:
        return Path(snapshot_download(repository, allow_patterns=WANTED))
    except Exception as error:  # many kinds: offline, gated, unknown, disk full
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"cannot get {repository} from the Hugging Face hub: {reason}") from None
