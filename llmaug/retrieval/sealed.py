"""Folders whose files are known by size and SHA-256, so that nothing else is ever read.

The manifest finds what was truncated, damaged or exchanged after the folder was built. It is no
signature: whoever rewrites the manifest too goes unnoticed, so read only folders of people that
you trust.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import new_file

MANIFEST = "manifest.json"
FORMAT = "llmaug sealed folder 1"
LARGEST_MANIFEST = 16 * 2**20  # bytes
AGAIN = "build it again"


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the manifest of a complete folder: `about` and every file below it.

    Call it last: a folder without a manifest counts as unfinished. Raises `RetrievalError` at a
    link or anything else that is no regular file, because its content cannot be vouched for.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        name = path.relative_to(folder).as_posix()
        if stat.S_ISDIR(kind) or name == MANIFEST:
            continue
        if not stat.S_ISREG(kind):
            raise RetrievalError(f"{path} is not a regular file; remove it and build again")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[name] = {"bytes": os.fstat(file.fileno()).st_size, "sha256": digest}
            os.fsync(file.fileno())  # on the disk before anything says so
    manifest = {"format": FORMAT, "about": dict(about), "files": files}
    with new_file(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=1) + "\n", encoding="ascii")


def check(
    folder: Path, *, needs: Collection[str] | Callable[[dict[str, Any]], Collection[str]] = ()
) -> dict[str, Any]:
    """What was said about the folder, once every file in its manifest is as it was sealed.

    `needs` names the files that the caller is going to read, or says them from what was said: each
    must be in the manifest, since files that are not in it are ignored here. Raises
    `RetrievalError` at the first difference.
    """
    about, files = _manifest(folder)
    for name in needs(about) if callable(needs) else needs:
        if name not in files:
            raise RetrievalError(f"{folder / MANIFEST} does not list {name}; {AGAIN}")
    for name, sealed in files.items():
        _check_file(_inside(folder, name), sealed)
    return about


def _manifest(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`about` and `files` of a folder's manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        wrong = "is not complete: it has no" if folder.is_dir() else "does not exist: there is no"
        raise RetrievalError(f"{folder} {wrong} {MANIFEST}; {AGAIN}")
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError("it is too large")
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise RetrievalError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise RetrievalError(f"{path} is not a manifest: it is damaged; {AGAIN}") from None
    if not (
        isinstance(manifest, dict)
        and manifest.get("format") == FORMAT
        and isinstance(manifest.get("about"), dict)
        and isinstance(manifest.get("files"), dict)
        and all(map(_is_entry, manifest["files"].values()))
    ):
        raise RetrievalError(f"{path} is not a manifest of this version of llmaug; {AGAIN}")
    return manifest["about"], manifest["files"]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("bytes")) is int
        and isinstance(entry.get("sha256"), str)
        and re.fullmatch("[0-9a-f]{64}", entry["sha256"]) is not None
    )


def _inside(folder: Path, name: str) -> Path:
    """The path of a listed file; refuses `..`, absolute names and links that lead elsewhere."""
    root = os.path.realpath(folder)
    path = os.path.join(root, name)
    if (
        "\0" in name
        or os.path.isabs(name)
        or os.path.normpath(path) != path
        or os.path.realpath(path) != path
        or not path.startswith(os.path.join(root, ""))
    ):
        raise RetrievalError(
            f"{folder / MANIFEST} lists {name!r}, which is a link or leaves the folder; {AGAIN}"
        )
    return folder / name


def _check_file(path: Path, sealed: Mapping[str, Any]) -> None:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise RetrievalError(f"{path} is not a regular file; {AGAIN}")
        if status.st_size != sealed["bytes"]:
            wrong = "is truncated" if status.st_size < sealed["bytes"] else "is too long"
            raise RetrievalError(
                f"{path} {wrong}: {status.st_size:,} bytes instead of {sealed['bytes']:,}; {AGAIN}"
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise RetrievalError(f"{path} is missing; {AGAIN}") from None
    except OSError as error:
        raise RetrievalError(f"{path} cannot be read: {error.strerror or error}") from None
    if digest != sealed["sha256"]:
        raise RetrievalError(f"{path} does not have the SHA-256 of its manifest; {AGAIN}")
