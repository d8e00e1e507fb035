"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from llmaug.errors import OutputError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Where to write so that `path` becomes the new file once it is complete and on the disk.

    After an error the unfinished file is gone and the old one is as it was.
    """
    with _explained(path):
        path = Path(os.path.realpath(path))  # a link stays a link
        check_file(path)
        unfinished = _beside(path)
        try:
            yield unfinished
            sync(unfinished)
            os.replace(unfinished, path)
            sync(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path, *, ours: Callable[[str], bool]) -> Iterator[Path]:
    """The same for a folder; an earlier one goes only if every file in it is one of `ours`."""
    with _explained(path):
        path = Path(os.path.realpath(path))
        check_folder(path, ours=ours)
        unfinished, old = _beside(path), _beside(path)
        unfinished.mkdir()
        try:
            yield unfinished
            for file in (*unfinished.iterdir(), unfinished):
                sync(file)
            if path.exists():
                path.rename(old)
            try:
                unfinished.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
            sync(path.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)


def check_file(path: Path) -> None:
    """Raise `OutputError` when no file can appear at this path."""
    _check_parent(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} exists and is not a file; name another output")


def check_folder(path: Path, *, ours: Callable[[str], bool]) -> None:
    """Raise `OutputError` when no folder can appear at this path."""
    _check_parent(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{path} exists and is not a folder; name another output")
    for file in sorted(path.iterdir()):
        if not ours(file.name):
            raise OutputError(f"{path} holds {file.name}, which would be lost; name another output")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(
            f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise OutputError(
            f"no permission to write in the folder {path.parent}; name another output"
        )


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def sync(path: Path) -> None:
    """See that a file, or the list of files of a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise OutputError(
                f"disk full while writing {path}; free space and run the same command again"
            ) from None
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
