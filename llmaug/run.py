"""A run directory: what was asked, what is finished, what failed, and how to go on from there."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import OutputError, ResumeRefused, RunBusy, RunError
from llmaug.outcome import Failure, Outcome
from llmaug.text import Text

FORMAT = 1
DUMP = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
START = b'{"row":'


class Run:
    """A directory that holds one augmentation, finished or not.

    `manifest.json` says what was asked, `output.jsonl` has one line for each finished root (its
    variants and drops) in the order in which they ended, `failures.jsonl` one for each failed
    row, `progress.json` the counts. A line is complete or it is cut off when the run goes on.
    Memory is eight bytes a row.

    `identity` is everything that decides the result, by name; a directory that was begun with
    another one raises `ResumeRefused` naming the first difference, unless `fresh` empties it
    (replies already paid for stay in its cache). `retry_failed` forgets the failures.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, fresh: bool = False,
                 retry_failed: bool = False, versions: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._offsets = array("q")          # by row: 0 unknown, -1 failed, else 1 + place in output
        self.attempts: dict[int, int] = {}  # by row: draws spent on replies that never fitted
        self.done = self.failed = 0
        with _explained(folder):
            folder.mkdir(exist_ok=True)
        self._lock = self._locked()
        try:
            if fresh:
                for name in ("manifest.json", "output.jsonl", "failures.jsonl", "progress.json"):
                    (folder / name).unlink(missing_ok=True)
            self._settle(identity, versions or {})
            self._output, self._size = self._reopen("output.jsonl")
            self._failures, self._failures_size = self._reopen("failures.jsonl")
            self._recover(retry_failed)
        except BaseException:
            os.close(self._lock)
            raise

    def _locked(self) -> int:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise RunBusy(f"{self.folder}: another process works on this run; wait for it, or "
                          "name another output") from None
        return lock

    def _settle(self, identity: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        """Write the manifest of a new run, or compare that of an old one."""
        path = self.folder / "manifest.json"
        if not path.exists():
            if (self.folder / "output.jsonl").exists():
                raise RunError(f"{self.folder} has an output.jsonl and no manifest.json, so it is "
                               "not known what made it; use --fresh to start anew")
            write_json(path, {"format": FORMAT, "asked": dict(identity),
                              "versions": dict(versions)})
            return
        try:
            manifest = json.loads(path.read_text())
            old = manifest["asked"]
        except (ValueError, KeyError, TypeError, OSError):
            raise RunError(f"{path} cannot be read; use --fresh to start anew") from None
        if manifest.get("format") != FORMAT:
            raise RunError(f"{path} is of format {manifest.get('format')}, this version reads "
                           f"{FORMAT}; use --fresh to start anew")
        new = json.loads(json.dumps(identity))
        for name in [*new, *(n for n in old if n not in new)]:
            if old.get(name) != new.get(name):
                raise ResumeRefused(
                    f"{self.folder} was begun with another {name}: {_shown(old.get(name))} there, "
                    f"{_shown(new.get(name))} now; use --fresh to start anew, or another output")

    def _reopen(self, name: str) -> tuple[int, int]:
        """Open a journal for appending, its torn last line cut off; the descriptor and size."""
        handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o644)
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

    def _recover(self, retry_failed: bool) -> None:
        """Learn from the journals which rows are finished."""
        for place, line in self._lines("output.jsonl"):
            row = self._row(line, "output.jsonl", place)
            self.done += self._place(row) <= 0
            self._offsets[row] = place + 1
        if retry_failed:
            for _, line in self._lines("failures.jsonl"):
                failure = orjson.loads(line)
                if failure["error"] == "ReplyError":
                    # Its replies are in the cache and would come back; draw others.
                    self.attempts[failure["row"]] = failure["attempts"]
            os.ftruncate(self._failures, 0)
            os.lseek(self._failures, 0, os.SEEK_SET)
            self._failures_size = 0
            return
        for place, line in self._lines("failures.jsonl"):
            row = self._row(line, "failures.jsonl", place)
            if self._place(row) == 0:
                self._offsets[row] = -1
                self.failed += 1

    def _lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        place = 0
        with (self.folder / name).open("rb") as lines:
            for line in lines:
                yield place, line
                place += len(line)

    def _row(self, line: bytes, name: str, place: int) -> int:
        try:
            if line.startswith(START):
                return int(line[len(START):line.index(b",")])
        except ValueError:
            pass
        raise RunError(f"{self.folder / name}: the line at byte {place} is not one that llmaug "
                       "wrote; use --fresh to start anew")

    def _place(self, row: int) -> int:
        if row >= len(self._offsets):
            self._offsets.frombytes(bytes(8 * max(row + 1 - len(self._offsets), 4096)))
        return self._offsets[row]

    def finished(self, row: int) -> bool:
        """Whether this row has its line, in the output or among the failures."""
        return self._place(row) != 0

    def append(self, outcome: Outcome) -> None:
        """Write one row's line; on return it survives `kill -9`.

        Raises `OutputError` when it cannot be written; the journal then ends at the last
        complete line.
        """
        self._place(outcome.row)
        if outcome.failure:
            self._failures_size = self._write(self._failures, _failure_line(outcome.failure),
                                              self._failures_size)
            self._offsets[outcome.row] = -1
            self.failed += 1
        else:
            place = self._size
            self._size = self._write(self._output, _output_line(outcome), place)
            self._offsets[outcome.row] = place + 1
            self.done += 1

    def _write(self, handle: int, line: bytes, size: int) -> int:
        written = 0
        try:
            while written < len(line):
                written += os.write(handle, line[written:])
        except OSError as error:
            os.ftruncate(handle, size)
            os.lseek(handle, size, os.SEEK_SET)
            raise _unwritable(self.folder, error) from None
        return size + written

    def results(self) -> Iterator[list[Text]]:
        """The texts of every finished row, in the order of the input."""
        with (self.folder / "output.jsonl").open("rb") as lines:
            for place in self._offsets:
                if place > 0:
                    lines.seek(place - 1)
                    yield _texts(lines.readline())

    def sync(self) -> None:
        """Make what was appended survive a power cut too."""
        os.fsync(self._output)
        os.fsync(self._failures)

    def report(self, counts: Mapping[str, Any]) -> None:
        """Replace `progress.json`."""
        with _explained(self.folder):
            write_json(self.folder / "progress.json", counts)

    def close(self) -> None:
        for handle in (self._output, self._failures, self._lock):
            os.close(handle)


def _output_line(outcome: Outcome) -> bytes:
    assert outcome.root is not None
    shared = outcome.root.meta
    line: dict[str, Any] = {"row": outcome.row, "root": outcome.root.id}
    if shared:
        line["meta"] = dict(shared)
    line["variants"] = [
        {"id": t.id, "text": t.text, "made_by": t.made_by} if t.meta is shared
        else {"id": t.id, "text": t.text, "made_by": t.made_by, "meta": dict(t.meta)}
        for t in outcome.texts]
    if outcome.drops:
        line["drops"] = [{"text": d.text.text, "made_by": d.text.made_by, "reason": d.reason}
                         for d in outcome.drops]
    return orjson.dumps(line, default=str, option=DUMP)


def _failure_line(failure: Failure) -> bytes:
    return orjson.dumps({
        "row": failure.row, "root": failure.root, "error": failure.error,
        "message": failure.message, "attempts": failure.attempts,
        **({"file": failure.file, "line": failure.line} if failure.file else {})}, option=DUMP)


def _texts(line: bytes) -> list[Text]:
    finished = orjson.loads(line)
    shared = finished.get("meta", {})
    return [Text(v["text"], v["id"], finished["root"], v["made_by"], v.get("meta", shared))
            for v in finished["variants"]]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a small JSON file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False, default=str)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _unwritable(path: Path, error: OSError) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(f"disk full while writing {path}; what is finished is kept: free space "
                           "and run the same command again")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return OutputError(f"the folder {path.parent} does not exist; make it first: "
                           f"mkdir -p {path.parent}")
    return OutputError(f"{path} cannot be written: {error.strerror}")


class _explained:
    """Turns an `OSError` while writing below a path into an `OutputError` that says what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise _unwritable(self.path, error) from None
