"""A run directory: what was asked, what is finished, what failed, and how to go on from there."""

from __future__ import annotations

import fcntl
import json
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmaug.errors import ResumeRefused, RunBusy, RunError
from llmaug.journal import (
    explained,
    failure_line,
    holds,
    lines,
    output_line,
    parsed,
    reopened,
    shown,
    texts,
    unwritable,
    write_json,
)
from llmaug.outcome import Failure, Outcome
from llmaug.text import Text

FORMAT = 1
JOURNALS = ("output.jsonl", "failures.jsonl")


class Run:
    """A directory that holds one augmentation, finished or not.

    `manifest.json` says what was asked, `output.jsonl` has one line for each finished root (its
    variants and drops) in the order in which they ended, `failures.jsonl` one for each failed
    row, `progress.json` the counts. A line is complete or it is cut off when the run goes on.
    Memory is eight bytes a row.

    `identity` is everything that decides the result, by name; a directory that was begun with
    another one raises `ResumeRefused` naming the first difference, unless `fresh` empties it
    (replies already paid for stay in its cache). `retry_failed` takes failed rows as not finished.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        *,
        fresh: bool = False,
        retry_failed: bool = False,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._offsets = array("q")  # by row: 0 unknown, -1 failed, else 1 + place in output
        self.attempts: dict[int, int] = {}  # by row: draws spent on replies that never fitted
        self.done = self.failed = 0
        self.reaches = 0  # rows from the first to the last that earlier runs finished
        self._done_waiting: list[tuple[int, bytes]] = []
        self._failed_waiting: list[tuple[int, bytes]] = []
        with explained(folder):
            folder.mkdir(exist_ok=True)
        self._lock = self._locked()
        try:
            if fresh:
                for name in ("manifest.json", *JOURNALS, "progress.json"):
                    (folder / name).unlink(missing_ok=True)
            self._settle(identity, versions or {})
            self._output, self._size = reopened(folder / "output.jsonl")
            self._failures, self._failures_size = reopened(folder / "failures.jsonl")
            self._recover(retry_failed)
        except BaseException:
            os.close(self._lock)
            raise

    def _locked(self) -> int:
        with explained(self.folder / "lock"):
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise unwritable(self.folder / "lock", error) from None
            raise RunBusy(
                f"{self.folder}: another process works on this run; wait for it, or "
                "name another output"
            ) from None
        return lock

    def _settle(self, identity: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        """Write the manifest of a new run, or compare that of an old one."""
        path = self.folder / "manifest.json"
        if not path.exists():
            if (self.folder / "output.jsonl").exists():
                raise RunError(
                    f"{self.folder} has an output.jsonl and no manifest.json, so it is "
                    "not known what made it; use --fresh to start anew"
                )
            self._begin(identity, versions)
            return
        try:
            manifest = json.loads(path.read_text())
            old = manifest["asked"]
        except (ValueError, KeyError, TypeError, OSError):
            raise RunError(f"{path} cannot be read; use --fresh to start anew") from None
        if manifest.get("format") != FORMAT:
            raise RunError(
                f"{path} is of format {manifest.get('format')}, this version reads "
                f"{FORMAT}; use --fresh to start anew"
            )
        new = json.loads(json.dumps(identity))
        if old != new and not any(holds(self.folder / name) for name in JOURNALS):
            # Nothing was finished under the old configuration, so nothing can be mixed.
            self._begin(identity, versions)
            return
        for name in [*new, *(n for n in old if n not in new)]:
            if old.get(name) != new.get(name):
                raise ResumeRefused(
                    f"{self.folder} was begun with another {name}: {shown(old.get(name))} there, "
                    f"{shown(new.get(name))} now; use --fresh to start anew, or another output"
                )

    def _begin(self, identity: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        with explained(self.folder):
            write_json(
                self.folder / "manifest.json",
                {"format": FORMAT, "asked": dict(identity), "versions": dict(versions)},
            )

    def _recover(self, retry_failed: bool) -> None:
        """Learn from the journals which rows are finished."""
        for line in lines(self.folder / "output.jsonl"):
            self.done += self._place(line.row) <= 0
            self.reaches = max(self.reaches, line.row + 1)
            self._offsets[line.row] = line.place + 1
        for line in lines(self.folder / "failures.jsonl"):
            self.reaches = max(self.reaches, line.row + 1)
            if self._place(line.row) > 0:
                continue  # it was tried again since, and worked
            if not retry_failed:
                self.failed += self._offsets[line.row] == 0
                self._offsets[line.row] = -1
            elif b'"ReplyError"' in line.content:
                # Its replies are in the cache and would come back; draw others.
                failure = parsed(line.content, self.folder / "failures.jsonl", line.place)
                self.attempts[line.row] = failure["attempts"]

    def tidy(self) -> None:
        """Leave one line for each row that failed, the last one, among the failures."""
        journal, draft = self.folder / "failures.jsonl", self.folder / ".failures.jsonl"
        last = array("q", bytes(8 * len(self._offsets)))
        count = 0
        for line in lines(journal):
            last[line.row] = line.place
            count += 1
        if count == self.failed:
            return
        with explained(self.folder):
            with draft.open("wb") as kept:
                for line in lines(journal):
                    if self._offsets[line.row] < 0 and last[line.row] == line.place:
                        kept.write(line.content)
            draft.replace(journal)

    def _place(self, row: int) -> int:
        if row >= len(self._offsets):
            self._offsets.frombytes(bytes(8 * max(row + 1 - len(self._offsets), 4096)))
        return self._offsets[row]

    def finished(self, row: int) -> bool:
        """Whether this row has its line, in the output or among the failures."""
        return self._place(row) != 0

    def append(self, outcome: Outcome) -> None:
        """Add one row's line; it survives `kill -9` after the next `flush`.

        A result that cannot be written as JSON is that row's failure.
        """
        failure = outcome.failure
        if failure is None:
            try:
                self._done_waiting.append((outcome.row, output_line(outcome)))
                return
            except (TypeError, ValueError, RecursionError) as error:
                root = outcome.root.id if outcome.root else ""
                failure = Failure(outcome.row, root, "not JSON", f"cannot be written: {error}")
        self._failed_waiting.append((outcome.row, failure_line(failure)))

    def flush(self) -> None:
        """Write the lines that were added, in one go.

        Raises `OutputError` when they cannot be written; the journal then ends with the last
        complete line before them.
        """
        done, self._done_waiting = self._done_waiting, []
        failed, self._failed_waiting = self._failed_waiting, []
        if done:
            place = self._size
            self._size = self._write(self._output, b"".join(line for _, line in done), place)
            for row, line in done:
                self._place(row)
                self._offsets[row] = place + 1
                place += len(line)
            self.done += len(done)
        if failed:
            self._failures_size = self._write(
                self._failures, b"".join(line for _, line in failed), self._failures_size
            )
            for row, _ in failed:
                self._place(row)
                self._offsets[row] = -1
            self.failed += len(failed)

    def _write(self, handle: int, lines: bytes, size: int) -> int:
        written = 0
        try:
            while written < len(lines):
                written += os.write(handle, lines[written:])
        except OSError as error:
            os.ftruncate(handle, size)
            os.lseek(handle, size, os.SEEK_SET)
            raise unwritable(self.folder, error) from None
        return size + written

    def results(self) -> Iterator[list[Text]]:
        """The texts of every finished row, in the order of the input."""
        journal = self.folder / "output.jsonl"
        with journal.open("rb") as finished:
            for place in self._offsets:
                if place > 0:
                    finished.seek(place - 1)
                    yield texts(parsed(finished.readline(), journal, place - 1))

    def sync(self) -> None:
        """Make what was written survive a power cut too."""
        with explained(self.folder):
            os.fsync(self._output)
            os.fsync(self._failures)

    def report(self, counts: Mapping[str, Any]) -> None:
        """Replace `progress.json`."""
        with explained(self.folder):
            write_json(self.folder / "progress.json", counts)

    def close(self) -> None:
        for handle in (self._output, self._failures, self._lock):
            os.close(handle)
