"""The lines of a run directory, and writing below it with errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from llmaug.errors import OutputError, RunError
from llmaug.outcome import Failure, Outcome
from llmaug.text import Text

START = b'{"row":'  # of every line, so that its row is known without parsing it
DUMP = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class Line(NamedTuple):
    """A line of a journal: its row's number, where it begins in bytes, and what it holds."""

    row: int
    place: int
    content: bytes


def output_line(outcome: Outcome) -> bytes:
    assert outcome.root is not None
    shared = outcome.root.meta
    line: dict[str, Any] = {"row": outcome.row, "root": outcome.root.id}
    if shared:
        line["meta"] = dict(shared)
    line["variants"] = [
        {"id": t.id, "text": t.text, "made_by": t.made_by}
        if t.meta is shared
        else {"id": t.id, "text": t.text, "made_by": t.made_by, "meta": dict(t.meta)}
        for t in outcome.texts
    ]
    if outcome.drops:
        line["drops"] = [
            {"text": d.text.text, "made_by": d.text.made_by, "reason": d.reason}
            for d in outcome.drops
        ]
    return orjson.dumps(line, default=str, option=DUMP)


def failure_line(failure: Failure) -> bytes:
    return orjson.dumps(
        {
            "row": failure.row,
            "root": failure.root,
            "error": failure.error,
            "message": failure.message,
            "attempts": failure.attempts,
            **({"file": failure.file, "line": failure.line} if failure.file else {}),
        },
        option=DUMP,
    )


def lines(journal: Path) -> Iterator[Line]:
    """The lines of a journal; `RunError` for one that llmaug did not write."""
    place = 0
    with journal.open("rb") as contents:
        for content in contents:
            try:
                if not content.startswith(START):
                    raise ValueError(content[:20])
                row = int(content[len(START) : content.index(b",")])
            except ValueError:
                raise RunError(
                    f"{journal}: the line at byte {place} is not one that llmaug wrote; "
                    "use --fresh to start anew"
                ) from None
            yield Line(row, place, content)
            place += len(content)


def parsed(content: bytes, journal: Path, place: int) -> dict[str, Any]:
    """One line of a journal; `RunError` when it is damaged."""
    try:
        line: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise RunError(
            f"{journal}: the line at byte {place} is damaged; use --fresh to start anew"
        ) from None
    return line


def texts(finished: Mapping[str, Any]) -> list[Text]:
    """The texts of a parsed line of the output."""
    shared = finished.get("meta", {})
    return [
        Text(v["text"], v["id"], finished["root"], v["made_by"], v.get("meta", shared))
        for v in finished["variants"]
    ]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a small JSON file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False, default=str)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)


def unwritable(path: Path, error: OSError) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(
            f"disk full while writing {path}; what is finished is kept: free space "
            "and run the same command again"
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return OutputError(
            f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}"
        )
    return OutputError(f"{path} cannot be written: {error.strerror}")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an `OSError` while writing below a path into an `OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from None


def holds(journal: Path) -> bool:
    """Whether a journal has at least one complete line."""
    if not journal.exists():
        return False
    with journal.open("rb") as lines:
        return lines.readline().endswith(b"\n")


def shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "…"


def reopened(journal: Path) -> tuple[int, int]:
    """Open a journal for appending, its torn last line cut off; the descriptor and size."""
    handle = os.open(journal, os.O_RDWR | os.O_CREAT, 0o644)
    size = os.fstat(handle).st_size
    while size:
        tail = os.pread(handle, min(size, 1 << 16), max(0, size - (1 << 16)))
        end = tail.rfind(b"\n")
        if end == len(tail) - 1:
            break
        size -= len(tail) - 1 - end
    os.ftruncate(handle, size)
    os.lseek(handle, size, os.SEEK_SET)
    return handle, size
