"""The folder of an index on disk: which files are in force, and replacing them at one stroke.

DIR/index.json       which edition is in force
DIR/edition-…/       its files, under a manifest with the SHA-256 of each (`sealed`)
DIR/vectors/         the vector store, which editions share
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llmaug.errors import OutputError, RetrievalError
from llmaug.formats.atomic import FULL, new_file, sync
from llmaug.retrieval import sealed

POINTER, VECTORS, EDITION, LOCK = "index.json", "vectors", "edition-", ".lock"
FORMAT = 1
OLD = re.compile(r"edition-[0-9a-f]{8}")
OURS = re.compile(r"\.lock|index\.json|\.index\.json\..*|vectors|\.?edition-[0-9a-f]{8}")


# Files that an edition must have, or what says them from its manifest.
Needs = Collection[str] | Callable[[dict[str, Any]], Collection[str]]


class Edition(NamedTuple):
    """The files that are in force, and what their manifest says about them."""

    folder: Path
    about: dict[str, Any]


def is_index(folder: str | Path) -> bool:
    """Whether a folder holds a finished index."""
    return (Path(folder) / POINTER).is_file()


def in_force(folder: Path) -> str:
    """The name of the edition in force, unchecked; "" where there is none."""
    try:
        return str(json.loads((folder / POINTER).read_bytes())["edition"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""


def current(folder: Path, *, needs: Needs = ()) -> Edition:
    """The edition in force, every file of it checked against its manifest.

    `needs` are the files that it must have. Raises `RetrievalError` where there is none, or a
    file is not as it was written.
    """
    if not folder.is_dir():
        raise RetrievalError(f"no index at {folder}; make one: llmaug index CORPUS -o {folder}")
    if not is_index(folder):
        begun = (folder / VECTORS).is_dir()
        raise RetrievalError(
            f"{folder} holds no finished index; "
            + ("run the same llmaug index command again" if begun else "is it another folder?")
        )
    try:
        pointer = json.loads((folder / POINTER).read_bytes())
        form, name = pointer["format"], pointer["edition"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise RetrievalError(
            f"{folder / POINTER} is not one that llmaug wrote; build the index again"
        ) from None
    if form != FORMAT:
        raise RetrievalError(f"{folder} was written in format {form}; this llmaug reads {FORMAT}")
    if not isinstance(name, str) or not name.startswith(EDITION) or Path(name).name != name:
        raise RetrievalError(f"{folder / POINTER} names no edition; build the index again")
    return Edition(folder / name, sealed.check(folder / name, needs=needs))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes from writing into it; the lock dies with us."""
    foreign = [
        path.name
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if not OURS.fullmatch(path.name)
    ]
    if foreign and not is_index(folder):
        raise RetrievalError(f"{folder} holds {foreign[0]} and no index; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RetrievalError(f"another process is building {folder}; wait for it") from None
        yield


@contextlib.contextmanager
def new_edition(folder: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Where to write the files of the next edition; it is in force once all are on the disk.

    `about` may be filled until the end. After an error the edition before stays in force. Call it
    `alone`. Readers that have an edition open keep its files.
    """
    unfinished = folder / f".{EDITION}{secrets.token_hex(4)}"
    with _explained(folder):
        for left_over in folder.glob(f".{EDITION}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        unfinished.mkdir()
    try:
        try:
            yield unfinished
        except OSError as error:
            if error.errno in FULL:
                raise _full(folder) from None
            raise  # it may be the corpus that cannot be read
        with _explained(folder):
            _put_in_force(folder, unfinished, about)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put_in_force(folder: Path, unfinished: Path, about: dict[str, Any]) -> None:
    sealed.seal(unfinished, about)
    edition = folder / unfinished.name.removeprefix(".")
    os.rename(unfinished, edition)
    for path in (*(path for path in edition.rglob("*") if path.is_dir()), edition, folder):
        sync(path)
    with new_file(folder / POINTER) as path:
        path.write_text(json.dumps({"format": FORMAT, "edition": edition.name}) + "\n")
    for old in folder.iterdir():
        if OLD.fullmatch(old.name) and old != edition and (old / sealed.MANIFEST).is_file():
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise _full(folder) from None
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None


def _full(folder: Path) -> OutputError:
    return OutputError(
        f"disk full while writing {folder}; free space and run the same command again"
    )
