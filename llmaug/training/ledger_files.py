"""What a ledger says of files, read and compared."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import RunError

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")  # of a stage, and so of its folder
JSON = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def as_json(value: Any) -> bytes:
    """JSON text, also of numpy's numbers."""
    return orjson.dumps(value, option=JSON | orjson.OPT_APPEND_NEWLINE)


def digest_of(value: Any) -> str:
    """16 hex digits that change when a JSON value does; the order of names is the same to it."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def read_entries(path: Path, *, format: str) -> dict[str, dict[str, Any]]:
    """What a manifest says of each stage; nothing where there is no manifest."""
    try:
        manifest = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        raise RunError(f"{path} is damaged; name another output") from None
    entries = manifest.get("stages") if isinstance(manifest, dict) else None
    if not isinstance(entries, dict) or manifest.get("format") != format:
        raise RunError(f"{path} is no manifest of a training folder; name another output")
    for name, entry in entries.items():
        if not NAME.fullmatch(name) or not _is_entry(entry):
            raise RunError(f"{path} is damaged at the stage {name!r}; name another output")
    return entries


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    if "files" not in entry:
        return entry.get("deleting") is True or isinstance(entry.get("inputs"), dict)
    files = entry["files"]
    return (
        isinstance(files, dict)
        and all(
            isinstance(one, dict) and {"bytes", "sha256"} <= one.keys() for one in files.values()
        )
        and isinstance(entry.get("inputs"), dict)
        and isinstance(entry.get("counts"), dict)
        and isinstance(entry.get("digest"), str)
    )


def _is_file(recorded: Any) -> bool:
    return isinstance(recorded, dict) and {"bytes", "sha256"} <= recorded.keys()


def files_in(folder: Path, *, but: str) -> dict[str, dict[str, Any]]:
    """The size and SHA-256 of every file below a folder, except in its folder `but`.

    They are on the disk then. Raises `RunError` at a link, whose content cannot be vouched for.
    """
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*")):
        name, kind = path.relative_to(folder), path.lstat().st_mode
        if name.parts[0] == but or stat.S_ISDIR(kind):
            continue
        if not stat.S_ISREG(kind):
            raise RunError(f"{path} is not a regular file; remove it and run again")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
            files[name.as_posix()] = {"bytes": os.fstat(file.fileno()).st_size, "sha256": digest}
    return files


def changed(path: Path, recorded: Mapping[str, Any]) -> str:
    """How a file differs from what was recorded: not at all "", "missing", or what is wrong."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return "is no regular file"
        if path.stat().st_size != recorded["bytes"]:
            return "has changed its size"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    return "" if digest == recorded["sha256"] else "has changed"


def difference(old: Any, new: Any, *, field: str = "") -> tuple[str, Any, Any]:
    """The first field in which two JSON values differ, and both values; "" where none does."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(name for name in old if name not in new)]:
            found = difference(
                old.get(name), new.get(name), field=f"{field}.{name}" if field else name
            )
            if found[0]:
                return found
        return "", None, None
    return ("", None, None) if old == new else (field or "inputs", old, new)
